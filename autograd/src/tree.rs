//! **Tree**: a model is its parameters, arranged.
//!
//! A model holds tensors; reading the same model with another algebra is a
//! *map* over those tensors that keeps the arrangement. So a model is a
//! functor from algebras to structures, and one trait serves differentiation
//! (map to variables, and the gradient comes back as the same model),
//! optimisers (visit in place) and files (named leaves).
//!
//! Writing the trait for a model is one line a field, or one line in all with
//! [`tree!`](crate::tree!):
//!
//! ```
//! use autograd::{Algebra, Tensor, Tree};
//!
//! struct Line<A: Algebra> { slope: Tensor<A>, offset: Tensor<A> }
//!
//! impl<A: Algebra> Tree<A> for Line<A> {
//!     type With<B: Algebra> = Line<B>;
//!     fn map<B: Algebra>(&self, f: &mut dyn FnMut(&Tensor<A>) -> Tensor<B>) -> Line<B> {
//!         Line { slope: self.slope.map(f), offset: self.offset.map(f) }
//!     }
//!     fn each(&self, path: &str, f: &mut dyn FnMut(&str, &Tensor<A>)) {
//!         self.slope.each(&format!("{path}.slope"), f);
//!         self.offset.each(&format!("{path}.offset"), f);
//!     }
//!     fn each_mut(&mut self, f: &mut dyn FnMut(&mut Tensor<A>)) {
//!         self.slope.each_mut(f);
//!         self.offset.each_mut(f);
//!     }
//! }
//! ```

use crate::algebra::Algebra;
use crate::tensor::Tensor;

/// A structure of tensors. All three methods visit the leaves in one order.
pub trait Tree<A: Algebra> {
    /// The same structure over another algebra.
    type With<B: Algebra>: Tree<B>;

    /// The structure with each leaf replaced by `f(leaf)`.
    fn map<B: Algebra>(&self, f: &mut dyn FnMut(&Tensor<A>) -> Tensor<B>) -> Self::With<B>;

    /// Visits each leaf with its name, which begins with `path`.
    fn each(&self, path: &str, f: &mut dyn FnMut(&str, &Tensor<A>));

    /// Visits each leaf for changing it.
    fn each_mut(&mut self, f: &mut dyn FnMut(&mut Tensor<A>));

    /// The leaves, in order.
    fn leaves(&self) -> Vec<Tensor<A>> {
        let mut out = Vec::new();
        self.each("", &mut |_, leaf| out.push(leaf.clone()));
        out
    }

    /// The names of the leaves, in order.
    fn names(&self) -> Vec<String> {
        let mut out = Vec::new();
        self.each("", &mut |name, _| {
            out.push(name.trim_start_matches('.').to_owned());
        });
        out
    }

    /// The same values as constants of another algebra over the same base.
    fn lift<B: Algebra<Base = A>>(&self) -> Self::With<B>
    where
        A: Algebra<Base = A>,
    {
        self.map(&mut |leaf| Tensor::<B>::constant(leaf))
    }
}

impl<A: Algebra> Tree<A> for Tensor<A> {
    type With<B: Algebra> = Tensor<B>;
    fn map<B: Algebra>(&self, f: &mut dyn FnMut(&Tensor<A>) -> Tensor<B>) -> Tensor<B> {
        f(self)
    }
    fn each(&self, path: &str, f: &mut dyn FnMut(&str, &Tensor<A>)) {
        f(path, self);
    }
    fn each_mut(&mut self, f: &mut dyn FnMut(&mut Tensor<A>)) {
        f(self);
    }
}

impl<A: Algebra, T: Tree<A>> Tree<A> for Vec<T> {
    type With<B: Algebra> = Vec<T::With<B>>;
    fn map<B: Algebra>(&self, f: &mut dyn FnMut(&Tensor<A>) -> Tensor<B>) -> Self::With<B> {
        self.iter().map(|item| item.map(f)).collect()
    }
    fn each(&self, path: &str, f: &mut dyn FnMut(&str, &Tensor<A>)) {
        for (i, item) in self.iter().enumerate() {
            item.each(&format!("{path}.{i}"), f);
        }
    }
    fn each_mut(&mut self, f: &mut dyn FnMut(&mut Tensor<A>)) {
        for item in self {
            item.each_mut(f);
        }
    }
}

/// A part that may be missing. Map it by `Tree::map(&part, f)`: `part.map(f)`
/// is the method of `Option`.
impl<A: Algebra, T: Tree<A>> Tree<A> for Option<T> {
    type With<B: Algebra> = Option<T::With<B>>;
    fn map<B: Algebra>(&self, f: &mut dyn FnMut(&Tensor<A>) -> Tensor<B>) -> Self::With<B> {
        self.as_ref().map(|part| part.map(f))
    }
    fn each(&self, path: &str, f: &mut dyn FnMut(&str, &Tensor<A>)) {
        if let Some(part) = self {
            part.each(path, f);
        }
    }
    fn each_mut(&mut self, f: &mut dyn FnMut(&mut Tensor<A>)) {
        if let Some(part) = self {
            part.each_mut(f);
        }
    }
}

/// Tuples are trees, so that a derivative by several inputs is a tuple.
macro_rules! tree_for_tuple {
    ($($name:ident $place:tt),*) => {
        impl<A: Algebra, $($name: Tree<A>),*> Tree<A> for ($($name,)*) {
            type With<B: Algebra> = ($($name::With<B>,)*);
            fn map<B: Algebra>(&self, f: &mut dyn FnMut(&Tensor<A>) -> Tensor<B>) -> Self::With<B> {
                ($(self.$place.map(f),)*)
            }
            fn each(&self, path: &str, f: &mut dyn FnMut(&str, &Tensor<A>)) {
                $(self.$place.each(&format!("{path}.{}", $place), f);)*
            }
            fn each_mut(&mut self, f: &mut dyn FnMut(&mut Tensor<A>)) {
                $(self.$place.each_mut(f);)*
            }
        }
    };
}
tree_for_tuple!(S 0, T 1);
tree_for_tuple!(S 0, T 1, U 2);
tree_for_tuple!(S 0, T 1, U 2, V 3);

/// Writes [`Tree`] for a model that is a `struct` with one parameter, its
/// algebra: the fields named are visited in order, under their own names; what
/// stands behind `;` is copied along.
///
/// ```
/// use autograd::{Algebra, Cpu, Tensor, Tree, tree};
///
/// struct Line<A: Algebra> { slope: Tensor<A>, offset: Tensor<A>, degree: i32 }
/// tree!(Line { slope, offset; degree });
///
/// let at = |x| Tensor::<Cpu<f64>>::scalar(x);
/// let line = Line { slope: at(2.0), offset: at(1.0), degree: 1 };
/// assert_eq!(line.names(), ["slope", "offset"]);
/// ```
#[macro_export]
macro_rules! tree {
    ($model:ident { $($field:ident),* $(; $($copied:ident),*)? }) => {
        impl<A: $crate::Algebra> $crate::Tree<A> for $model<A> {
            type With<B: $crate::Algebra> = $model<B>;
            fn map<B: $crate::Algebra>(
                &self,
                f: &mut dyn FnMut(&$crate::Tensor<A>) -> $crate::Tensor<B>,
            ) -> $model<B> {
                $model {
                    $($field: $crate::Tree::map(&self.$field, f),)*
                    $($($copied: self.$copied.clone(),)*)?
                }
            }
            fn each(&self, path: &str, f: &mut dyn FnMut(&str, &$crate::Tensor<A>)) {
                $($crate::Tree::each(
                    &self.$field,
                    &format!(concat!("{}.", stringify!($field)), path),
                    f,
                );)*
            }
            fn each_mut(&mut self, f: &mut dyn FnMut(&mut $crate::Tensor<A>)) {
                $($crate::Tree::each_mut(&mut self.$field, f);)*
            }
        }
    };
}

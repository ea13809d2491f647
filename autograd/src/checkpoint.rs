//! **Checkpoint**: memory bought with time.
//!
//! Reverse mode keeps what every operation needs for its derivative. A
//! checkpoint keeps the *inputs* of a part of a program only; when the sweep
//! comes by, the part is run again, recorded on a tape of its own, and swept:
//!
//! ```math
//! y = f(x_1, \dots, x_k), \qquad
//! (\bar x_1, \dots, \bar x_k) = \mathrm{vjp}_f(x_1, \dots, x_k)(\bar y) \tag{AD.25}
//! ```
//!
//! with one run of `f` for all inputs together. A chain of `n` equal layers
//! cut into `s` parts keeps `s` inputs, and the recording of one part at a
//! time: `s + n/s` layers in place of `n`, least for `s = √n`, for one more
//! evaluation (Chen, Xu, Zhang and Guestrin 2016, *Training deep nets with
//! sublinear memory cost*; Griewank and Walther 2000, *Revolve*). The value
//! keeps its bits. So does the derivative, but for one thing: what several
//! parts contribute to the same variable is added part by part.

use crate::algebra::Algebra;
use crate::check::Program;
use crate::differentiated::Differentiated;
use crate::tape::{Joint, Tape};
use crate::tensor::Tensor;
use crate::var::Var;
use std::fmt;
use std::rc::Rc;

/// The value of `program`, of which reverse mode keeps the inputs only.
///
/// What the program needs of variables must be among `inputs`. Plain arrays
/// and forward mode keep nothing anyway and just run it. A derivative of the
/// derivative is right too, but records the second run like any operation:
/// memory is saved at first order.
///
/// ```
/// use autograd::check::Program;
/// use autograd::{Algebra, Cpu, Tensor, checkpoint, grad};
///
/// #[derive(Clone)]
/// struct Layers(usize);
/// impl Program for Layers {
///     fn run<A: Algebra>(&self, x: &[Tensor<A>]) -> Tensor<A> {
///         (0..self.0).fold(x[0].clone(), |h, _| h.sin())
///     }
/// }
/// let x = Tensor::<Cpu<f64>>::new(&[2], vec![0.5, 1.0]);
/// let kept = grad(|x| Layers(9).run(&[x.clone()]).sum(), &x);
/// let again = grad(|x| checkpoint(&Layers(9), &[x.clone()]).sum(), &x);
/// assert_eq!(kept.to_vec(), again.to_vec());
/// ```
#[track_caller]
#[must_use]
pub fn checkpoint<A, P>(program: &P, inputs: &[Tensor<A>]) -> Tensor<A>
where
    A: Algebra,
    P: Program + Clone + 'static,
{
    Tensor(A::checkpoint(program, inputs))
}

/// The value, with its derivative to be computed again.
#[track_caller]
pub(crate) fn recorded<A, P>(program: &P, inputs: &[Tensor<Var<A>>]) -> Var<A>
where
    A: Algebra,
    P: Program + Clone + 'static,
{
    let values: Vec<Tensor<A>> = inputs.iter().map(|x| x.0.value().clone()).collect();
    let value = Tensor(A::checkpoint(program, &values));
    Var::joined(value, inputs, |places| Rerun {
        program: program.clone(),
        inputs: values,
        places,
    })
}

/// A part of a program at the point where it was run.
struct Rerun<P, A: Algebra> {
    program: P,
    inputs: Vec<Tensor<A>>,
    places: Vec<Option<usize>>,
}

impl<P, A: Algebra> fmt::Debug for Rerun<P, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shapes: Vec<_> = self.inputs.iter().map(Tensor::shape).collect();
        f.debug_tuple("Rerun").field(&shapes).finish()
    }
}

impl<P: Program, A: Algebra> Joint<A> for Rerun<P, A> {
    fn pull(&self, y_bar: Tensor<A>, give: &mut dyn FnMut(usize, Tensor<A>)) {
        let tape = Rc::new(Tape::new());
        let pairs = self.inputs.iter().zip(&self.places);
        let variables: Vec<_> = pairs
            .map(|(x, place)| match place {
                Some(_) => Var::leaf(&tape, x.clone()),
                None => Var::held(x),
            })
            .collect();
        let (_, output) = self.program.run(&variables).0.parts(&tape);
        drop(variables);
        let Some(output) = output else { return };
        let places: Vec<usize> = self.places.iter().copied().flatten().collect();
        let bars = tape.sweep(output, y_bar, places.len()); // (AD.25)
        for (place, bar) in places.into_iter().zip(bars) {
            if let Some(bar) = bar {
                give(place, bar);
            }
        }
    }
}

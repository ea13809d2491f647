//! **Batches** `[B, D]` as a solver needs them: combined with a step for each
//! row, measured row by row, chosen row by row.
//!
//! An algebra that only computes can do all of it with [`Tensor`] operations
//! and numbers on the host. `Cuda` does it in one kernel
//! each, where the state lies. The host then sees
//!
//! | what | when | bytes |
//! |---|---|---|
//! | the norm of each row's error | once an attempt, with steps by the error | `8B` |
//! | whether all is finite | once a step, on a fixed grid | 4 |
//!
//! because it decides by them: the controller and the outcome are the solver's.
//! To the device go, with steps of their own, `8B` bytes of steps an attempt and
//! `4B` of times an evaluation, and row numbers when rows are put aside; with a
//! common step nothing does.
//!
//! With derivatives, in `Var` and `Dual`, it is the same: steps are chosen by the
//! values, so norms and finiteness are asked of those, where they lie. What has
//! slopes, a combination and a choice, is made of `Tensor` operations; with steps
//! of its own each combination then copies its `4B` bytes of them, and a choice
//! the row numbers that it gathers.

use autograd::check::rounding::Rounded;
use autograd::{Algebra, Cpu, Dual, Real, Tensor, Var};
use solvers::Norm;
use std::fmt::Debug;

/// What a solver asks of an algebra's batches beyond arithmetic.
pub trait Batches: Algebra {
    /// What is kept from one step of a solve to the next.
    type Room: Default + Debug;

    /// All numbers, row by row, on the host, without derivatives.
    fn to_f64(x: &Tensor<Self>) -> Vec<f64>;

    /// A constant column `[B, 1]` where `like` lives.
    fn column(like: &Tensor<Self>, numbers: &[f64]) -> Tensor<Self> {
        like.lift(&[numbers.len(), 1], numbers)
    }

    /// `y + hᵣ·Σ c·k`, with a step for each row or one for all.
    fn combine(
        _room: &mut Self::Room,
        y: &Tensor<Self>,
        h: &[f64],
        terms: &[(f64, &Tensor<Self>)],
    ) -> Tensor<Self> {
        let products = terms.iter().map(|&(c, k)| c * k);
        match (products.reduce(|sum, product| sum + product), common(h)) {
            (Some(sum), Some(h)) => y + h * sum,
            (Some(sum), None) => y + y.lift(&[h.len(), 1], h) * sum,
            (None, _) => y.clone(),
        }
    }

    /// For each row the norm of `hᵣ·Σ c·k` between two states, with a step for each
    /// row or one for all.
    fn error_norms(
        _room: &mut Self::Room,
        out: &mut [f64],
        (y0, y1): (&Tensor<Self>, &Tensor<Self>),
        h: &[f64],
        terms: &[(f64, &Tensor<Self>)],
        norm: &Norm,
    ) {
        let d = y0.size(1);
        let (y0, y1) = (Self::to_f64(y0), Self::to_f64(y1));
        let terms = terms.iter().map(|(c, k)| (*c, Self::to_f64(k)));
        let terms: Vec<(f64, Vec<f64>)> = terms.collect();
        for (r, out) in out.iter_mut().enumerate() {
            let h = if h.len() == 1 { h[0] } else { h[r] };
            *out = norm.of((r * d..(r + 1) * d).map(|i| {
                let error: f64 = terms.iter().map(|(c, k)| c * k[i]).sum();
                (h * error, y0[i], y1[i])
            }));
        }
    }

    /// The first row with a NaN or infinite number.
    fn broken_row(y: &Tensor<Self>) -> Option<usize> {
        let place = Self::to_f64(y).iter().position(|x| !x.is_finite())?;
        Some(place / y.size(1).max(1))
    }

    /// Row `i` of `b` where `choose_b[i]`, else row `i` of `a`.
    fn choose(a: &Tensor<Self>, b: &Tensor<Self>, choose_b: &[bool]) -> Tensor<Self> {
        let all = choose_b.len();
        let places = choose_b.iter().enumerate();
        let source = places.map(|(i, &take)| if take { all + i } else { i });
        let index = autograd::Index::new(source.collect());
        Tensor::concat(&[a, b], 0).gather(&index)
    }
}

/// The number that all of these are, in bits; 0 for none.
fn common(numbers: &[f64]) -> Option<f64> {
    let same = |w: &[f64]| w[0].to_bits() == w[1].to_bits();
    let all = numbers.windows(2).all(same);
    all.then(|| numbers.first().copied().unwrap_or(0.0))
}

impl<F: Real> Batches for Cpu<F> {
    type Room = ();
    fn to_f64(x: &Tensor<Self>) -> Vec<f64> {
        x.as_slice().iter().map(|x| x.wide()).collect()
    }
}

/// What decides is asked of the values, where they lie: no norm needs a
/// derivative, and no state is copied to measure it.
macro_rules! by_values {
    ($($algebra:ident)*) => { $(
        impl<A: Algebra> Batches for $algebra<A>
        where
            A::Base: Batches,
        {
            type Room = <A::Base as Batches>::Room;

            fn to_f64(x: &Tensor<Self>) -> Vec<f64> {
                Batches::to_f64(&x.stop())
            }

            fn column(like: &Tensor<Self>, numbers: &[f64]) -> Tensor<Self> {
                Tensor::constant(&Batches::column(&like.stop(), numbers))
            }

            fn error_norms(
                room: &mut Self::Room,
                out: &mut [f64],
                (y0, y1): (&Tensor<Self>, &Tensor<Self>),
                h: &[f64],
                terms: &[(f64, &Tensor<Self>)],
                norm: &Norm,
            ) {
                let terms: Vec<_> = terms.iter().map(|(c, k)| (*c, k.stop())).collect();
                let terms: Vec<_> = terms.iter().map(|(c, k)| (*c, k)).collect();
                let between = (&y0.stop(), &y1.stop());
                <A::Base as Batches>::error_norms(room, out, between, h, &terms, norm);
            }

            fn broken_row(y: &Tensor<Self>) -> Option<usize> {
                Batches::broken_row(&y.stop())
            }
        }
    )* };
}
by_values!(Var Dual);

/// Bounds for a whole solve in single precision; steps are those of its values.
impl Batches for Rounded {
    type Room = ();
    fn to_f64(x: &Tensor<Self>) -> Vec<f64> {
        x.value().to_vec()
    }
}

#[cfg(feature = "cuda")]
mod on_device {
    use super::{Batches, common};
    use crate::compute::done;
    use autograd::{Cuda, Tensor};
    use cuda::{Buffer, Device, RowNorm, Steps};
    use solvers::{Mean, Norm};

    /// The steps that were copied to the device last: all stages of an attempt
    /// and its error have the same.
    #[derive(Debug, Default)]
    pub struct Room(Option<(Vec<f64>, Buffer<f64>)>);

    impl Room {
        fn steps(&mut self, device: &Device, h: &[f64]) -> &Buffer<f64> {
            let known = self.0.take().filter(|(last, _)| last == h);
            let known = known.unwrap_or_else(|| (h.to_vec(), done(device.upload(h))));
            &self.0.insert(known).1
        }
    }

    impl Batches for Cuda<f32> {
        type Room = Room;

        fn to_f64(x: &Tensor<Self>) -> Vec<f64> {
            let x = done(x.download());
            x.as_slice().iter().map(|&x| x.into()).collect()
        }

        /// A number that all rows share is an argument of a kernel.
        fn column(like: &Tensor<Self>, numbers: &[f64]) -> Tensor<Self> {
            let shape = [numbers.len(), 1];
            if let Some(common) = common(numbers) {
                return like.full_like(&shape, common);
            }
            let numbers: Vec<f32> = numbers.iter().map(|&x| x as f32).collect();
            Tensor::from_buffer(&shape, done(like.buffer().device().upload(&numbers)))
        }

        fn combine(
            room: &mut Room,
            y: &Tensor<Self>,
            h: &[f64],
            terms: &[(f64, &Tensor<Self>)],
        ) -> Tensor<Self> {
            if terms.is_empty() {
                return y.clone();
            }
            let (device, shape) = (y.buffer().device(), [y.size(0), y.size(1)]);
            let steps = match common(h) {
                Some(h) => Steps::Common(h),
                None => Steps::Rows(room.steps(device, h)),
            };
            let terms: Vec<_> = terms.iter().map(|(c, k)| (*c, k.buffer())).collect();
            let sum = cuda::combine_stages(y.buffer(), shape, steps, &terms);
            Tensor::from_buffer(&shape, done(sum))
        }

        fn error_norms(
            room: &mut Room,
            out: &mut [f64],
            (y0, y1): (&Tensor<Self>, &Tensor<Self>),
            h: &[f64],
            terms: &[(f64, &Tensor<Self>)],
            norm: &Norm,
        ) {
            let (device, shape) = (y0.buffer().device(), [y0.size(0), y0.size(1)]);
            let terms: Vec<_> = terms.iter().map(|(c, k)| (*c, k.buffer())).collect();
            let norm = RowNorm {
                absolute: norm.tolerance.absolute,
                relative: norm.tolerance.relative,
                largest: norm.mean == Mean::Largest,
                counted: norm.leading.unwrap_or(shape[1]).min(shape[1]),
            };
            let between = [y0.buffer(), y1.buffer()];
            let steps = match common(h) {
                Some(h) => Steps::Common(h),
                None => Steps::Rows(room.steps(device, h)),
            };
            let norms = cuda::error_norms(between, shape, steps, &terms, norm);
            out.copy_from_slice(&done(norms.and_then(|norms| norms.download())));
        }

        /// Which row it is costs a copy of all, once.
        fn broken_row(y: &Tensor<Self>) -> Option<usize> {
            if y.all_finite() {
                return None;
            }
            let place = Self::to_f64(y).iter().position(|x| !x.is_finite())?;
            Some(place / y.size(1).max(1))
        }

        fn choose(a: &Tensor<Self>, b: &Tensor<Self>, choose_b: &[bool]) -> Tensor<Self> {
            let marks: Vec<u32> = choose_b.iter().map(|&take| take.into()).collect();
            let marks = done(b.buffer().device().upload(&marks));
            let pair = [a.buffer(), b.buffer()];
            let chosen = cuda::choose_rows(pair, &marks, b.size(1));
            Tensor::from_buffer(&b.shape(), done(chosen))
        }
    }
}

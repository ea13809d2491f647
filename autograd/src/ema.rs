//! **Exponential moving average** of a model's parameters.
//!
//! ```math
//! \bar\theta \leftarrow d_n\,\bar\theta + (1 - d_n)\,\theta, \qquad
//! d_n = \min\bigl(d, \tfrac{1 + n}{10 + n}\bigr) \tag{AD.13}
//! ```
//!
//! Early on, `d_n` is small, so that the average is not held back by the
//! initial parameters.

use crate::cpu::Cpu;
use crate::real::Real;
use crate::tree::Tree;

/// The average, with the structure of the model.
#[derive(Clone, Debug)]
pub struct Ema<M> {
    /// `d`, in [0, 1).
    pub decay: f64,
    /// Updates made.
    pub updates: u64,
    /// The averaged model.
    pub average: M,
}

impl<M> Ema<M> {
    /// Starts at the model as it is.
    ///
    /// # Panics
    /// If the decay is not in [0, 1).
    #[track_caller]
    pub fn new<F: Real>(model: &M, decay: f64) -> Self
    where
        M: Tree<Cpu<F>, With<Cpu<F>> = M>,
    {
        assert!(
            (0.0..1.0).contains(&decay),
            "ema: decay {decay} must lie in [0, 1)"
        );
        let average = model.map(&mut |leaf| leaf.clone());
        Ema {
            decay,
            updates: 0,
            average,
        }
    }

    /// Moves the average towards the model.
    pub fn update<F: Real>(&mut self, model: &M)
    where
        M: Tree<Cpu<F>>,
    {
        self.updates += 1;
        let n = self.updates as f64;
        let decay = self.decay.min((1.0 + n) / (10.0 + n));
        let (keep, take) = (F::from_f64(decay), F::from_f64(1.0 - decay));
        let mut leaves = model.leaves().into_iter();
        self.average.each_mut(&mut |average| {
            let leaf = leaves.next().expect("model and average have one structure");
            for (a, &x) in average.as_mut_slice().iter_mut().zip(leaf.as_slice()) {
                *a = keep * *a + take * x; // (AD.13)
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::Tensor;

    /// Verifies (AD.13).
    #[test]
    fn the_average_follows_the_recursion() {
        let at = |x: f64| Tensor::<Cpu<f64>>::scalar(x);
        let mut ema = Ema::new(&at(1.0), 0.5);
        let mut reference = 1.0f64;
        for n in 1..30 {
            let x = f64::from(n).sin();
            let d = 0.5f64.min((1.0 + f64::from(n)) / (10.0 + f64::from(n)));
            reference = d * reference + (1.0 - d) * x;
            ema.update(&at(x));
            assert!((ema.average.item() - reference).abs() <= 4.0 * f64::EPSILON);
        }
    }

    #[test]
    #[should_panic(expected = "decay 1 must lie in [0, 1)")]
    fn a_decay_of_one_is_refused() {
        let _ = Ema::new(&Tensor::<Cpu<f64>>::scalar(0.0), 1.0);
    }
}

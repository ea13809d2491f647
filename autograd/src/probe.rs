//! **Probes** for Hutchinson's estimate, and how much it scatters.
//!
//! With `S = (J + Jᵀ)/2`, independent entries of mean 0 and variance 1, and
//! `κ = E z⁴ − 3`:
//!
//! ```math
//! \operatorname{Var}[z^{\mathsf T} J z]
//! = 2\,\lVert S \rVert_F^2 + \kappa \sum_i s_{ii}^2, \qquad
//! \kappa = \begin{cases} -2 & \text{signs (Rademacher)} \\ 0 & \text{normal numbers} \end{cases} \tag{AD.23}
//! ```
//!
//! Signs have the least variance of all independent entries, and none at all
//! for a diagonal `S` (Hutchinson 1990; Avron and Toledo 2011). The mean of
//! `K` probes has a `K`-th of it.

use crate::algebra::Algebra;
use crate::cpu::Cpu;
use crate::philox::{Draw, Philox};
use crate::real::Real;
use crate::tensor::Tensor;

/// The law of a probe's entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Probe {
    /// −1 or 1, evenly.
    Rademacher,
    /// Normal numbers of mean 0 and variance 1.
    Gaussian,
}

impl Probe {
    /// A probe in the shape of `x`: place by place a function of the draw.
    ///
    /// ```
    /// use autograd::{Cpu, Draw, Probe, Tensor, hutchinson};
    /// let x = Tensor::<Cpu<f64>>::new(&[2, 2], vec![3.0, 5.0, -1.0, 0.5]);
    /// let z = Probe::Rademacher.like(&x, Draw::seed(7));
    /// // A diagonal Jacobian: the estimate with signs is exact.
    /// let (_, div) = hutchinson(|x| x.square(), &x, &z);
    /// assert_eq!(div.to_vec(), [16.0, -1.0]);
    /// ```
    #[must_use]
    pub fn like<A: Algebra>(self, x: &Tensor<A>, draw: Draw) -> Tensor<A> {
        let shape = x.shape();
        let mut numbers = vec![0.0; shape.count()];
        match self {
            Probe::Rademacher => {
                let mut bits = vec![0; numbers.len()];
                Philox::below(draw, 0, 2, &mut bits);
                for (number, bit) in numbers.iter_mut().zip(bits) {
                    *number = 2.0 * f64::from(bit) - 1.0;
                }
            }
            Probe::Gaussian => Philox::normal_f64(draw, 0, &mut numbers),
        }
        x.lift(&shape, &numbers)
    }

    /// The variance of `zᵀJz` for a Jacobian `[D, D]`.
    ///
    /// # Panics
    /// If the Jacobian is not a square matrix.
    #[track_caller]
    #[must_use]
    pub fn variance<F: Real>(self, jacobian: &Tensor<Cpu<F>>) -> f64 {
        let shape = jacobian.shape();
        assert!(
            shape.rank() == 2 && shape[0] == shape[1],
            "variance: a square matrix was expected, the shape is {shape}"
        );
        let (d, j) = (shape[0], jacobian.as_slice());
        let s = |i: usize, k: usize| 0.5 * (j[i * d + k].wide() + j[k * d + i].wide());
        let places = (0..d).flat_map(|i| (0..d).map(move |k| (i, k)));
        let norm: f64 = places.map(|(i, k)| s(i, k).powi(2)).sum();
        let diagonal: f64 = (0..d).map(|i| s(i, i).powi(2)).sum();
        let kappa = match self {
            Probe::Rademacher => -2.0,
            Probe::Gaussian => 0.0,
        };
        2.0 * norm + kappa * diagonal // (AD.23)
    }
}

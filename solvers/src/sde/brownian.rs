//! **Brownian motion** as a function: a tree of midpoints, drawn by counters.
//!
//! Between two known values the middle one is normal:
//!
//! ```math
//! W\!\left(\tfrac{s+u}{2}\right) = \frac{W(s) + W(u)}{2} + \frac{\sqrt{u - s}}{2}\,\xi \tag{SD.2}
//! ```
//!
//! `ξ` is a function of the seed, the sample, the coordinate and the place in
//! the tree, by Philox, so a path is never stored, any two questions about it
//! agree, and a finer grid sees the same path: values at common times are
//! equal in bits. They are whole multiples of a power of 2, 2⁻⁴⁵ of the
//! deviation at the end or less, so that differences and sums of them are exact
//! and `W(s, u) = W(s, t) + W(t, u)` holds in bits. Lévy 1948; the counter-based tree follows Li et al., *Scalable
//! gradients for stochastic differential equations*, AISTATS 2020.

use super::schemes::Increments;

/// Independent Brownian motions on an interval, one for each coordinate of
/// each sample.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Brownian {
    /// The seed.
    pub seed: u64,
    /// Where the motion starts from 0.
    pub t0: f64,
    /// Where its tree ends.
    pub t1: f64,
    /// The coordinates of a sample.
    pub dimension: usize,
}

/// The tree's depth: times are told apart to `(t₁ − t₀)/2³⁰`, and a step to a
/// time between two of them is off by a standard deviation of 3e-5 of the
/// interval's.
const DEPTH: u32 = 30;

impl Brownian {
    /// `W(t)` of one coordinate of one sample. Times outside of the interval
    /// count as its ends.
    #[must_use]
    pub fn at(&self, t: f64, sample: usize, coordinate: usize) -> f64 {
        let span = self.t1 - self.t0;
        let place = ((t - self.t0) / span).clamp(0.0, 1.0);
        // The place in units of the finest interval, to the nearest.
        let place = (place * f64::from(1u32 << DEPTH)).round() as u64;
        let normal = |node: u64| normal(self.seed, node, sample as u32, coordinate as u32);
        let length = span.abs();
        let whole = |w: f64| to_multiple(w, length.sqrt());
        let last = whole(length.sqrt() * normal(0));
        let (mut low, mut high) = ((0, 0.0), (1u64 << DEPTH, last));
        let mut node = 1;
        loop {
            if place == low.0 {
                return low.1;
            }
            if place == high.0 {
                return high.1;
            }
            let width = (high.0 - low.0) as f64 / f64::from(1u32 << DEPTH) * length;
            let between = 0.5 * (low.1 + high.1) + 0.5 * width.sqrt() * normal(node); // (SD.2)
            let middle = (low.0.midpoint(high.0), whole(between));
            (low, high, node) = if place < middle.0 {
                (low, middle, 2 * node)
            } else {
                (middle, high, 2 * node + 1)
            };
        }
    }
}

impl Increments<Vec<f64>> for Brownian {
    fn between(&self, t0: f64, t1: f64, out: &mut Vec<f64>) {
        for (i, out) in out.iter_mut().enumerate() {
            let (sample, coordinate) = (i / self.dimension, i % self.dimension);
            *out = self.at(t1, sample, coordinate) - self.at(t0, sample, coordinate);
        }
    }
}

/// The nearest whole multiple of the power of 2 that is at most 2⁻⁴⁵ of `scale`
/// and more than half of that. Up to 2⁷ times `scale`, which no motion reaches,
/// it has no more than 53 bits, and the finest increments, 2⁻¹⁵ of `scale`, have
/// some 30.
fn to_multiple(w: f64, scale: f64) -> f64 {
    const EXPONENT: u64 = 0x7FF << 52;
    let unit = f64::from_bits(scale.to_bits() & EXPONENT) * 2f64.powi(-45);
    if unit > 0.0 {
        (w / unit).round() * unit
    } else {
        w
    }
}

/// A standard normal number for a node of the tree, by Box and Muller.
fn normal(seed: u64, node: u64, sample: u32, coordinate: u32) -> f64 {
    let counter = [node as u32, (node >> 32) as u32, sample, coordinate];
    let [a, b, c, d] = philox(counter, [seed as u32, (seed >> 32) as u32]);
    // 53 bits each, the first in (0, 1].
    let bits = |high: u32, low: u32| (u64::from(high) << 32 | u64::from(low)) >> 11;
    let unit = |bits: u64| bits as f64 / (1u64 << 53) as f64;
    let (u, v) = (unit(bits(a, b) + 1), unit(bits(c, d)));
    (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()
}

/// Philox4x32 with ten rounds: 128 random bits for each counter and key.
/// Salmon et al., *Parallel random numbers: as easy as 1, 2, 3*, SC 2011.
#[must_use]
pub fn philox(mut counter: [u32; 4], mut key: [u32; 2]) -> [u32; 4] {
    let product = |a: u32, b: u32| {
        let wide = u64::from(a) * u64::from(b);
        ((wide >> 32) as u32, wide as u32)
    };
    for _ in 0..10 {
        let (high0, low0) = product(0xD251_1F53, counter[0]);
        let (high1, low1) = product(0xCD9E_8D57, counter[2]);
        counter = [
            high1 ^ counter[1] ^ key[0],
            low1,
            high0 ^ counter[3] ^ key[1],
            low0,
        ];
        // The golden ratio and √3 − 1, as Weyl sequences.
        key = [
            key[0].wrapping_add(0x9E37_79B9),
            key[1].wrapping_add(0xBB67_AE85),
        ];
    }
    counter
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The known answers of Random123's distribution, `kat_vectors`.
    #[test]
    fn philox_gives_the_known_answers() {
        assert_eq!(
            philox([0; 4], [0; 2]),
            [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]
        );
        assert_eq!(
            philox([u32::MAX; 4], [u32::MAX; 2]),
            [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]
        );
    }

    const MOTION: Brownian = Brownian {
        seed: 7,
        t0: 0.25,
        t1: 1.25,
        dimension: 2,
    };

    #[test]
    fn a_finer_grid_sees_the_same_path_in_bits() {
        let values = |n: usize| -> Vec<f64> {
            let place = |i: usize| MOTION.at(0.25 + i as f64 / n as f64, 3, 1);
            (0..=n).map(place).collect()
        };
        let (coarse, fine) = (values(8), values(1024));
        assert_eq!(coarse[0], 0.0);
        for (i, value) in coarse.iter().enumerate() {
            assert_eq!(value.to_bits(), fine[128 * i].to_bits());
        }
        // Other seeds, samples and coordinates are other paths.
        let other = Brownian { seed: 8, ..MOTION };
        let paths = [
            MOTION.at(1.0, 3, 1),
            MOTION.at(1.0, 3, 0),
            MOTION.at(1.0, 2, 1),
            other.at(1.0, 3, 1),
        ];
        for (i, a) in paths.iter().enumerate() {
            assert!(paths[..i].iter().all(|b| a != b));
        }
    }

    /// `W(s, u) = W(s, t) + W(t, u)` in bits, on intervals of any length. The
    /// wrong twin has the bits of the formula, of which the last one is lost in
    /// a sum now and then.
    #[test]
    fn increments_add_up_in_bits() {
        for (t0, t1) in [(0.25, 1.25), (0.0, 1e-6), (-3.0, 4e5)] {
            let motion = Brownian { t0, t1, ..MOTION };
            let (mut lost, mut largest) = (0, 0f64);
            for sample in 0..200 {
                let mut part = [0.0; 3];
                let place = |k: usize| 0.5 + 0.5 * ((sample * k) as f64 * 0.7).sin();
                let mut times = [1, 2, 3].map(|k| t0 + (t1 - t0) * place(k));
                times.sort_by(f64::total_cmp);
                let [s, t, u] = times;
                for (part, (from, to)) in part.iter_mut().zip([(s, t), (t, u), (s, u)]) {
                    let mut out = vec![0.0; 2 * sample + 2];
                    motion.between(from, to, &mut out);
                    *part = out[2 * sample + 1];
                }
                assert_eq!((part[0] + part[1]).to_bits(), part[2].to_bits());
                largest = largest.max(part[2].abs());
                let twin = [1, 2, 3].map(|k| (t1 - t0).sqrt() * normal(7, k, sample as u32, 0));
                let sum = (twin[1] - twin[0]) + (twin[2] - twin[1]);
                lost += usize::from(sum != twin[2] - twin[0]);
            }
            assert!(lost > 20, "{lost}");
            assert!(largest > 0.5 * (t1 - t0).sqrt(), "{largest}");
        }
    }

    /// Increments over the parts of an uneven grid are independent and normal:
    /// mean, variance and correlation of 100 000 each. With a probability below
    /// 1e-6 each a deviation exceeds 5 standard errors; there are 30.
    ///
    /// Verifies (SD.2).
    #[test]
    fn increments_are_independent_with_the_length_as_variance() {
        const N: usize = 100_000;
        let times = [0.25, 0.3, 0.475, 0.8125, 1.25];
        let parts = times.len() - 1;
        let mut scaled = vec![Vec::with_capacity(N); parts];
        for sample in 0..N {
            let values: Vec<f64> = times.iter().map(|&t| MOTION.at(t, sample, 0)).collect();
            for i in 0..parts {
                let length: f64 = times[i + 1] - times[i];
                scaled[i].push((values[i + 1] - values[i]) / length.sqrt());
            }
        }
        let error = 5.0 / (N as f64).sqrt();
        let mean = |f: &dyn Fn(usize) -> f64| (0..N).map(f).sum::<f64>() / N as f64;
        for i in 0..parts {
            let x = &scaled[i];
            assert!(mean(&|n| x[n]).abs() <= error);
            // Powers of a normal number have variances 2, 15 and 96.
            assert!((mean(&|n| x[n].powi(2)) - 1.0).abs() <= 2f64.sqrt() * error);
            assert!(mean(&|n| x[n].powi(3)).abs() <= 15f64.sqrt() * error);
            assert!((mean(&|n| x[n].powi(4)) - 3.0).abs() <= 96f64.sqrt() * error);
            for y in &scaled[..i] {
                assert!(mean(&|n| x[n] * y[n]).abs() <= error);
                // The wrong twin: a motion whose parts all move by one number.
                assert!((mean(&|n| x[n] * x[n])).abs() > error);
            }
        }
    }

    /// On an interval four times as long, from anywhere, a motion is twice as
    /// large: in bits, since all is scaled by powers of 2. And what is written
    /// over a batch are its rows' values.
    #[test]
    fn a_motion_scales_with_the_root_of_its_interval() {
        let long = Brownian {
            t0: -3.0,
            t1: 1.0,
            ..MOTION
        };
        let mut out = vec![0.0; 8];
        for i in 0..=64 {
            let u = f64::from(i) / 64.0;
            let (short_at, long_at) = (0.25 + u, -3.0 + 4.0 * u);
            for (sample, coordinate) in [(0, 0), (0, 1), (1, 0), (3, 1)] {
                let one = MOTION.at(short_at, sample, coordinate);
                assert_eq!(2.0 * one, long.at(long_at, sample, coordinate), "{u}");
                MOTION.between(0.25, short_at, &mut out);
                assert_eq!(out[2 * sample + coordinate], one);
            }
        }
        assert_eq!(
            MOTION.at(1.25, 1, 0),
            to_multiple(normal_of_the_end(1, 0), 1.0)
        );
        assert_eq!(MOTION.at(9.0, 1, 0), MOTION.at(1.25, 1, 0));
        assert_eq!(MOTION.at(-9.0, 1, 0), 0.0);
    }

    /// So little time that there is no unit for it.
    #[test]
    fn the_smallest_numbers_are_left_as_they_are() {
        assert_eq!(to_multiple(3e-311, 1e-310), 3e-311);
        assert_eq!(to_multiple(0.0, 0.0), 0.0);
        assert_eq!(
            to_multiple(3.0 + 1e-12, 1.0),
            3.0 + (1e-12 * 2f64.powi(45)).round() * 2f64.powi(-45)
        );
    }

    fn normal_of_the_end(sample: u32, coordinate: u32) -> f64 {
        normal(MOTION.seed, 0, sample, coordinate)
    }

    /// All 64 bits of a seed and of a node's number choose the path.
    #[test]
    fn high_bits_of_seeds_and_nodes_count() {
        let one = normal(1, 5, 0, 0);
        assert_ne!(one, normal(1 << 32 | 1, 5, 0, 0));
        assert_ne!(one, normal(1, 1 << 32 | 5, 0, 0));
        assert_ne!(one, normal(1 << 33 | 1, 5, 0, 0));
        assert_ne!(normal(1, 1 << 32, 0, 0), normal(1, 1 << 33, 0, 0));
        assert_ne!(normal(1 << 32, 1, 0, 0), normal(1 << 33, 1, 0, 0));
    }
}

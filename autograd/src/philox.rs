//! **Philox**: random numbers as a function of where they are used.
//!
//! A counter-based generator has no state that draws could disturb. The
//! number at place `e` of step `n` of a stream is one evaluation of a fixed
//! bijection, so neither the order of draws, nor the thread, nor the device
//! can change it:
//!
//! ```math
//! (w_0, w_1, w_2, w_3) = \mathrm{Philox}^{10}_{4\times 32}\bigl(
//! \text{counter} = (\lfloor e/4\rfloor,\ \text{step},\ \text{stream},\ 0),\
//! \text{key} = \text{seed}\bigr) \tag{AD.14}
//! ```
//!
//! Salmon, Moraes, Dror and Shaw, *Parallel random numbers: as easy as 1, 2, 3*
//! (SC 2011). Normal numbers are made from pairs of words by Box and Muller:
//!
//! ```math
//! z_{2i} = \sqrt{-2\ln u_1}\,\cos 2\pi u_2, \qquad
//! z_{2i+1} = \sqrt{-2\ln u_1}\,\sin 2\pi u_2 \tag{AD.15}
//! ```
//!
//! with `u₁ ∈ (0, 1]` from the even word and `u₂ ∈ [0, 1)` from the odd one.
//! In `f32` only IEEE additions, products, quotients, roots and our own
//! polynomials are used, so a GPU without fused multiply-add gets the same
//! bits.

use crate::cpu::dispatch::{Job, dispatch};
use crate::cpu::polynomial;
use rand::rand_core::{Infallible, TryRng};

/// Names a sequence of random numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Draw {
    /// The seed of the whole run.
    pub seed: u64,
    /// What the numbers are for: noise, times, data, initial parameters.
    /// Different purposes never share numbers.
    pub stream: u32,
    /// The step of the training, or whatever counts the draws of a stream.
    pub step: u32,
}

impl Draw {
    /// Stream 0, step 0 of a seed.
    #[must_use]
    pub fn seed(seed: u64) -> Self {
        Draw {
            seed,
            stream: 0,
            step: 0,
        }
    }

    /// The same seed and step, for another purpose.
    #[must_use]
    pub fn stream(self, stream: u32) -> Self {
        Draw { stream, ..self }
    }

    /// The same seed and stream at another step.
    #[must_use]
    pub fn step(self, step: u32) -> Self {
        Draw { step, ..self }
    }
}

/// The bijection, its bulk draws, and a generator for `rand`.
///
/// ```
/// use autograd::{Draw, Philox};
/// let (mut whole, mut tail) = ([0.0; 10], [0.0; 3]);
/// Philox::normal_f32(Draw::seed(1), 0, &mut whole);
/// Philox::normal_f32(Draw::seed(1), 7, &mut tail); // the same from place 7 on
/// assert_eq!(whole[7..], tail);
/// ```
#[derive(Clone, Debug)]
pub struct Philox {
    draw: Draw,
    place: u64,
}

/// Rounds of the bijection.
const ROUNDS: usize = 10;

/// Ten rounds on one counter. The constants are those of the paper.
#[inline(always)]
fn philox(counter: [u32; 4], key: [u32; 2]) -> [u32; 4] {
    let ([mut a, mut b, mut c, mut d], [mut k0, mut k1]) = (counter, key);
    for _ in 0..ROUNDS {
        let left = u64::from(a) * 0xD251_1F53;
        let right = u64::from(c) * 0xCD9E_8D57;
        (a, b, c, d) = (
            (right >> 32) as u32 ^ b ^ k0,
            right as u32,
            (left >> 32) as u32 ^ d ^ k1,
            left as u32,
        );
        k0 = k0.wrapping_add(0x9E37_79B9);
        k1 = k1.wrapping_add(0xBB67_AE85);
    }
    [a, b, c, d]
}

/// The four words of block `element/4`.
#[inline(always)]
fn block(draw: Draw, index: u64) -> [u32; 4] {
    let key = [draw.seed as u32, (draw.seed >> 32) as u32];
    // Blocks beyond 2³² continue in the last counter word.
    let counter = [index as u32, draw.step, draw.stream, (index >> 32) as u32]; // (AD.14)
    philox(counter, key)
}

/// `w ↦ [0, 1)`: the top 24 bits, exact in `f32`.
#[inline(always)]
fn unit_f32(word: u32) -> f32 {
    (word >> 8) as f32 * (1.0 / 16_777_216.0)
}

/// Two words to two independent normal numbers.
#[inline(always)]
fn box_muller_f32(even: u32, odd: u32) -> [f32; 2] {
    // The shift by one unit keeps the logarithm finite.
    let u1 = ((even >> 8) + 1) as f32 * (1.0 / 16_777_216.0);
    let radius = (-2.0 * polynomial::ln(u1)).sqrt();
    let (sin, cos) = polynomial::sin_cos_turns(unit_f32(odd));
    [radius * cos, radius * sin] // (AD.15)
}

/// The same in double precision, with the functions of the standard library.
fn box_muller_f64(u1: f64, u2: f64) -> [f64; 2] {
    let radius = (-2.0 * u1.ln()).sqrt();
    let (sin, cos) = (std::f64::consts::TAU * u2).sin_cos();
    [radius * cos, radius * sin]
}

/// Fills `out` with what `words` makes of each block, beginning at any place.
struct Fill<'a, T, W> {
    draw: Draw,
    first: u64,
    per_block: u64,
    out: &'a mut [T],
    words: W,
}

impl<T: Copy, W: Fn([u32; 4], &mut [T])> Job for Fill<'_, T, W> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        let per_block = self.per_block as usize;
        let Some(&blank) = self.out.first() else {
            return;
        };
        let mut scratch = [blank; 4];
        let (mut index, skip) = (self.first / self.per_block, self.first % self.per_block);
        let mut skip = skip as usize;
        let mut rest = self.out;
        while !rest.is_empty() {
            let words = block(self.draw, index);
            let take = (per_block - skip).min(rest.len());
            let (now, later) = rest.split_at_mut(take);
            if take == per_block {
                (self.words)(words, now);
            } else {
                (self.words)(words, &mut scratch[..per_block]);
                now.copy_from_slice(&scratch[skip..skip + take]);
            }
            (rest, skip, index) = (later, 0, index + 1);
        }
    }
}

impl Philox {
    /// A generator for `rand` that walks through the words of a draw.
    #[must_use]
    pub fn new(draw: Draw) -> Self {
        Philox { draw, place: 0 }
    }

    /// Uniform numbers in [0, 1), multiples of 2⁻²⁴; `out[i]` is the number at
    /// place `first + i` of the draw.
    pub fn uniform_f32(draw: Draw, first: u64, out: &mut [f32]) {
        #[inline(always)]
        fn words(w: [u32; 4], out: &mut [f32]) {
            for (out, w) in out.iter_mut().zip(w) {
                *out = unit_f32(w);
            }
        }
        #[rustfmt::skip]
        dispatch(Fill { draw, first, per_block: 4, out, words });
    }

    /// Normal numbers, mean 0 and variance 1; place by place as above.
    /// Magnitudes end at `√(48 ln 2) ≈ 5.77`.
    pub fn normal_f32(draw: Draw, first: u64, out: &mut [f32]) {
        #[inline(always)]
        fn words([a, b, c, d]: [u32; 4], out: &mut [f32]) {
            let ([x, y], [z, w]) = (box_muller_f32(a, b), box_muller_f32(c, d));
            out.copy_from_slice(&[x, y, z, w]);
        }
        #[rustfmt::skip]
        dispatch(Fill { draw, first, per_block: 4, out, words });
    }

    /// Uniform numbers in [0, 1), multiples of 2⁻⁵³; two words each.
    pub fn uniform_f64(draw: Draw, first: u64, out: &mut [f64]) {
        #[inline(always)]
        fn words([a, b, c, d]: [u32; 4], out: &mut [f64]) {
            out.copy_from_slice(&[unit_f64(a, b), unit_f64(c, d)]);
        }
        #[rustfmt::skip]
        dispatch(Fill { draw, first, per_block: 2, out, words });
    }

    /// Normal numbers in double precision; one block makes two.
    pub fn normal_f64(draw: Draw, first: u64, out: &mut [f64]) {
        #[inline(always)]
        fn words([a, b, c, d]: [u32; 4], out: &mut [f64]) {
            // 1 − u is in (0, 1], which keeps the logarithm finite.
            out.copy_from_slice(&box_muller_f64(1.0 - unit_f64(a, b), unit_f64(c, d)));
        }
        #[rustfmt::skip]
        dispatch(Fill { draw, first, per_block: 2, out, words });
    }

    /// Whole numbers below `below`, by the high word of a product: each is hit
    /// with a probability that is off by less than `below/2³²` of itself.
    pub fn below(draw: Draw, first: u64, below: u32, out: &mut [u32]) {
        let words = move |w: [u32; 4], out: &mut [u32]| {
            for (out, w) in out.iter_mut().zip(w) {
                *out = ((u64::from(w) * u64::from(below)) >> 32) as u32;
            }
        };
        #[rustfmt::skip]
        dispatch(Fill { draw, first, per_block: 4, out, words });
    }
}

/// 53 bits of two words to [0, 1).
#[inline(always)]
fn unit_f64(high: u32, low: u32) -> f64 {
    let bits = (u64::from(high) << 32 | u64::from(low)) >> 11;
    bits as f64 * (1.0 / 9_007_199_254_740_992.0)
}

impl TryRng for Philox {
    type Error = Infallible;
    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let words = block(self.draw, self.place / 4);
        let word = words[(self.place % 4) as usize];
        self.place += 1;
        Ok(word)
    }
    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let low = self.try_next_u32()?;
        let high = self.try_next_u32()?;
        Ok(u64::from(high) << 32 | u64::from(low))
    }
    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        for chunk in bytes.chunks_mut(4) {
            let word = self.try_next_u32()?.to_le_bytes();
            chunk.copy_from_slice(&word[..chunk.len()]);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The known answers of the Random123 distribution (its `kat_vectors`).
    ///
    /// Verifies (AD.14).
    #[test]
    fn known_answers() {
        assert_eq!(
            philox([0; 4], [0; 2]),
            [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]
        );
        assert_eq!(
            philox([u32::MAX; 4], [u32::MAX; 2]),
            [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]
        );
        assert_eq!(
            philox(
                [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344],
                [0xa409_3822, 0x299f_31d0]
            ),
            [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1]
        );
        let draw = Draw::seed(0x299f_31d0_a409_3822);
        let counter_order = block(
            draw.stream(0x1319_8a2e).step(0x85a3_08d3),
            0x0370_7344_243f_6a88,
        );
        assert_eq!(counter_order[0], 0xd16c_fe09, "counter words in order");
    }

    /// Each kind of number is its formula of the words of its block, and `rand`
    /// gets the words themselves, of two the low one first.
    ///
    /// Verifies (AD.15).
    #[test]
    fn numbers_are_their_formulas_of_the_words() {
        let draw = Draw::seed(5).stream(1);
        let words: Vec<u32> = (0..3).flat_map(|index| block(draw, index)).collect();
        let (mut single, mut double) = ([0.0f32; 12], [0.0f64; 6]);
        // 2⁻²⁴ and 2⁻⁵³ are exact factors.
        Philox::uniform_f32(draw, 0, &mut single);
        for (&x, &w) in single.iter().zip(&words) {
            assert_eq!(f64::from(x), f64::from(w >> 8) / 2f64.powi(24));
        }
        let wide = |pair: &[u32]| {
            let bits = u64::from(pair[0]) * (1 << 21) + u64::from(pair[1] >> 11);
            bits as f64 / 2f64.powi(53)
        };
        Philox::uniform_f64(draw, 0, &mut double);
        for (&x, pair) in double.iter().zip(words.chunks(2)) {
            assert_eq!(x, wide(pair));
        }
        let polar = |u: f64, v: f64| {
            let (sin, cos) = (std::f64::consts::TAU * v).sin_cos();
            let radius = (-2.0 * u.ln()).sqrt();
            [radius * cos, radius * sin]
        };
        Philox::normal_f64(draw, 0, &mut double);
        for (pair, words) in double.chunks(2).zip(words.chunks(4)) {
            assert_eq!(pair, polar(1.0 - wide(&words[..2]), wide(&words[2..])));
        }
        // In single precision also where u is small, which is where the one that
        // is added to 24 bits counts.
        let near = |found: [f32; 2], even: u32, odd: u32| {
            let u = (f64::from(even >> 8) + 1.0) / 2f64.powi(24);
            let exact = polar(u, f64::from(odd >> 8) / 2f64.powi(24));
            for (found, exact) in found.iter().zip(exact) {
                // The logarithm, the root, sine or cosine and their product, each
                // within 4 ulp of numbers up to 6.
                let error = (f64::from(*found) - exact).abs();
                assert!(
                    error <= 4.0 * 4.0 * 6.0 * f64::from(f32::EPSILON) / 2.0,
                    "{error:e}"
                );
            }
        };
        Philox::normal_f32(draw, 0, &mut single);
        for (pair, words) in single.chunks(2).zip(words.chunks(2)) {
            near([pair[0], pair[1]], words[0], words[1]);
        }
        for even in [0, 0x100, 0x200, 0x1000, u32::MAX] {
            near(box_muller_f32(even, 0x1234_5678), even, 0x1234_5678);
        }

        let mut rng = Philox::new(draw);
        let mut bytes = [0; 6];
        let Ok(first) = rng.try_next_u32();
        let Ok(pair) = rng.try_next_u64();
        let Ok(()) = rng.try_fill_bytes(&mut bytes);
        let Ok(next) = rng.try_next_u32();
        assert_eq!(first, words[0]);
        assert_eq!((pair as u32, (pair >> 32) as u32), (words[1], words[2]));
        assert_eq!(bytes[..4], words[3].to_le_bytes());
        assert_eq!(bytes[4..], words[4].to_le_bytes()[..2]);
        assert_eq!(next, words[5]);
    }

    #[test]
    fn a_range_may_be_split_anywhere() {
        let draw = Draw::seed(11).stream(2).step(5);
        let mut whole = [0.0f32; 41];
        Philox::normal_f32(draw, 3, &mut whole);
        for cut in 0..=41 {
            let mut parts = [0.0f32; 41];
            let (left, right) = parts.split_at_mut(cut);
            Philox::normal_f32(draw, 3, left);
            Philox::normal_f32(draw, 3 + cut as u64, right);
            assert_eq!(whole, parts, "cut at {cut}");
        }
    }

    /// Moments of a million normal numbers, each within five standard errors:
    /// a false alarm has probability 6·10⁻⁷ for each, and the seed is fixed.
    ///
    /// Verifies (AD.15).
    #[test]
    fn normal_numbers_have_normal_moments_and_distribution() {
        const N: usize = 1_000_000;
        let mut z = vec![0.0f32; N];
        Philox::normal_f32(Draw::seed(2024), 0, &mut z);
        let mut wide = vec![0.0f64; N];
        Philox::normal_f64(Draw::seed(2024), 0, &mut wide);
        let singles: Vec<f64> = z.iter().map(|&x| f64::from(x)).collect();
        for z in [&singles, &wide] {
            let moment = |k: i32| z.iter().map(|x| x.powi(k)).sum::<f64>() / N as f64;
            // Variances of zᵏ: 1, 2, 15, 96 (moments 0, 1, 0, 3, 0, 15, 0, 105).
            for (k, mean, variance) in
                [(1, 0.0, 1.0), (2, 1.0, 2.0), (3, 0.0, 15.0), (4, 3.0, 96.0)]
            {
                let error = (moment(k) - mean).abs() / (f64::sqrt(variance) / f64::sqrt(N as f64));
                assert!(error <= 5.0, "moment {k}: {error} standard errors");
            }
            let lagged: f64 = z.windows(2).map(|w| w[0] * w[1]).sum::<f64>() / (N - 1) as f64;
            assert!(
                lagged.abs() * f64::sqrt(N as f64) <= 5.0,
                "neighbours correlate: {lagged}"
            );
        }
        let mut u = vec![0.0f32; N];
        Philox::uniform_f32(Draw::seed(7), 0, &mut u);
        u.sort_by(f32::total_cmp);
        // Kolmogorov and Smirnov: P(√n·D > 2.8) = 2e^{−2·2.8²} = 3·10⁻⁷.
        let distance = u.iter().enumerate().fold(0.0f64, |d, (i, &u)| {
            let rank = i as f64 / N as f64;
            d.max((f64::from(u) - rank).abs())
        });
        assert!(distance * f64::sqrt(N as f64) <= 2.8, "{distance}");
    }

    #[test]
    fn whole_numbers_are_even_over_their_range() {
        const N: u32 = 700_000;
        let mut draws = vec![0; N as usize];
        Philox::below(Draw::seed(3), 0, 7, &mut draws);
        for value in 0..7 {
            let count = draws.iter().filter(|&&d| d == value).count() as f64;
            // Binomial: five standard deviations of √(n·p·(1 − p)) = 293.
            assert!((count - 100_000.0).abs() <= 5.0 * 293.0, "{value}: {count}");
        }
    }
}

//! **Random cases**, and the smallest one that fails.
//!
//! A case is a mixture, a time, a point: whatever a claim draws from a list of
//! random words. The words are a function of the seed, the equation and the
//! number of the case, so every case can be met again alone.
//!
//! The same drawing from simpler words gives a simpler case: a word of 0 is
//! the low end of an interval, the first of a choice, a normal number 0; a
//! word with few leading bits is a short binary fraction of the interval. So
//! a failing case is *shrunk* by simplifying one word after the other as long
//! as the claim still fails, without a line of code about mixtures or points
//! (MacIver and Donaldson, ECOOP 2020).

use super::Measured;
use crate::mixture::{Mixture, MixturePath};
use crate::schedule::Schedule;
use autograd::{Draw, Philox};
use rand::rand_core::{Infallible, TryRng};
use rand::{Rng, RngExt};
use std::fmt::Debug;

/// Words from a generator, remembered; or a list of words, repeated. Beyond
/// its end the list goes on with zeros.
#[derive(Clone, Debug)]
struct Words {
    fresh: Option<Philox>,
    list: Vec<u64>,
    place: usize,
}

impl Words {
    /// The next word; one of 32 bits stands in the upper half.
    fn next(&mut self, draw: impl FnOnce(&mut Philox) -> u64) -> u64 {
        if let Some(generator) = &mut self.fresh {
            self.list.push(draw(generator));
        }
        let word = self.list.get(self.place).copied().unwrap_or(0);
        self.place += 1;
        word
    }
}

impl TryRng for Words {
    type Error = Infallible;
    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok((self.next(|g| u64::from(g.next_u32()) << 32) >> 32) as u32)
    }
    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(self.next(Rng::next_u64))
    }
    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        for chunk in bytes.chunks_mut(8) {
            let word = self.try_next_u64()?.to_le_bytes();
            chunk.copy_from_slice(&word[..chunk.len()]);
        }
        Ok(())
    }
}

/// One case under way: draws, and what they were called.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    words: Words,
    drawn: Vec<String>,
}

impl Case {
    fn fresh(generator: Philox) -> Self {
        let words = Words {
            fresh: Some(generator),
            list: Vec::new(),
            place: 0,
        };
        let drawn = Vec::new();
        Case { words, drawn }
    }

    fn repeated(list: &[u64]) -> Self {
        let words = Words {
            fresh: None,
            list: list.to_vec(),
            place: 0,
        };
        let drawn = Vec::new();
        Case { words, drawn }
    }

    /// The random numbers themselves.
    pub(crate) fn rng(&mut self) -> &mut impl Rng {
        &mut self.words
    }

    /// Says what was drawn.
    pub(crate) fn note<T: Debug>(&mut self, name: &str, value: T) -> T {
        self.drawn.push(format!("{name} = {value:?}"));
        value
    }

    /// A number in an interval.
    pub(crate) fn uniform(&mut self, name: &str, low: f64, high: f64) -> f64 {
        let x = low + (high - low) * self.words.random::<f64>();
        self.note(name, x)
    }

    /// Numbers in an interval.
    pub(crate) fn point(&mut self, name: &str, d: usize, low: f64, high: f64) -> Vec<f64> {
        let one = |words: &mut Words| low + (high - low) * words.random::<f64>();
        let x = (0..d).map(|_| one(&mut self.words)).collect();
        self.note(name, x)
    }

    /// Standard normal numbers.
    pub(crate) fn normal(&mut self, name: &str, d: usize) -> Vec<f64> {
        let x = (0..d).map(|_| crate::mixture::normal(&mut self.words));
        let x = x.collect();
        self.note(name, x)
    }

    /// One of `0..n`.
    pub(crate) fn below(&mut self, n: usize) -> usize {
        self.words.random_range(0..n)
    }

    /// A mixture in `d` dimensions of 1 to 4 components, deviations 0.5 to
    /// 1.5, means within 3 of the origin.
    pub(crate) fn mixture(&mut self, d: usize) -> Mixture {
        let k = 1 + self.below(4);
        let raw = self.point("weights (before division by their sum)", k, 0.2, 1.0);
        let total: f64 = raw.iter().sum();
        let means = (0..k).map(|_| self.point("mean", d, -3.0, 3.0)).collect();
        let stds = self.point("deviations", k, 0.5, 1.5);
        let weights = raw.iter().map(|w| w / total).collect();
        Mixture::new(weights, means, stds).expect("a valid mixture by construction")
    }

    /// A path to a mixture in 1 to 3 dimensions, with any schedule and
    /// thickness.
    pub(crate) fn mixture_path(&mut self) -> MixturePath {
        let schedule = Schedule::ALL[self.below(Schedule::ALL.len())];
        self.note("schedule", schedule);
        let sigma = self.uniform("sigma", 0.0, 0.3);
        let d = 1 + self.below(3);
        MixturePath::new(self.mixture(d), schedule, sigma).expect("a valid thickness")
    }

    /// A point that a path can be at.
    pub(crate) fn on(&mut self, path: &MixturePath, t: f64) -> Vec<f64> {
        let x = path.sample(t, &mut self.words);
        self.note("x", x)
    }
}

/// The random cases of one equation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cases {
    /// Names the random numbers; each case is a step of it.
    pub(crate) draw: Draw,
    /// How many.
    pub(crate) count: u32,
    /// Whether to look for a small failing case.
    pub(crate) shrinking: bool,
}

/// A residual of a claim in one case.
type Residual<'a> = &'a dyn Fn(&mut Case) -> f64;

impl Cases {
    /// Case number `i`.
    pub(crate) fn case(&self, i: u32) -> Case {
        Case::fresh(Philox::new(self.draw.step(i)))
    }

    /// The residuals of all cases.
    fn residuals(&self, one: Residual<'_>) -> Vec<f64> {
        (0..self.count).map(|i| one(&mut self.case(i))).collect()
    }

    /// A claim that holds to rounding: the largest residual of all cases.
    pub(crate) fn worst(&self, allowed: f64, one: impl Fn(&mut Case) -> f64) -> Measured {
        let residuals = self.residuals(&one);
        Measured {
            residual: largest(residuals),
            allowed,
            order: None,
            smallest_failing_case: self.smallest(allowed, &one),
        }
    }

    /// A claim with central differences: root mean square residuals at the
    /// steps `2h` and `h`, on the same cases, which must fall with order 2.
    pub(crate) fn second_order(
        &self,
        h: f64,
        allowed: f64,
        one: impl Fn(&mut Case, f64) -> f64,
    ) -> Measured {
        let rms = |h: f64| {
            let residuals = self.residuals(&|case| one(case, h));
            let squares: f64 = residuals.iter().map(|r| r * r).sum();
            (squares / f64::from(self.count)).sqrt()
        };
        let (coarse, fine) = (rms(2.0 * h), rms(h));
        Measured {
            residual: fine,
            allowed,
            order: Some((2.0, (coarse / fine).log2())),
            smallest_failing_case: self.smallest(allowed, &|case| one(case, h)),
        }
    }

    /// The first failing case, made as small as it goes; none if no case of
    /// its own is beyond what is allowed.
    fn smallest(&self, allowed: f64, one: Residual<'_>) -> Option<String> {
        if !self.shrinking {
            return None;
        }
        let fails = |words: &[u64]| {
            let residual = one(&mut Case::repeated(words));
            !(residual.abs() <= allowed)
        };
        let words = (0..self.count).find_map(|i| {
            let mut case = self.case(i);
            let residual = one(&mut case);
            (!(residual.abs() <= allowed)).then_some(case.words.list)
        })?;
        let words = shrink(words, fails);
        let mut case = Case::repeated(&words);
        let residual = one(&mut case);
        Some(format!(
            "{}: residual {residual:.3e}, allowed {allowed:.0e}",
            case.drawn.join(", ")
        ))
    }
}

/// The largest magnitude; NaN if there is one.
pub(crate) fn largest(numbers: impl IntoIterator<Item = f64>) -> f64 {
    let larger = |worst: f64, x: f64| match x.abs() {
        x if x > worst || x.is_nan() => x,
        _ => worst,
    };
    numbers.into_iter().fold(0.0, larger)
}

/// Simplifies one word after the other while the list still fails, until
/// nothing changes any more: to 0 if that will do, or else to its leading
/// bits, as few as possible. Each change takes bits away, so it ends.
fn shrink(mut words: Vec<u64>, fails: impl Fn(&[u64]) -> bool) -> Vec<u64> {
    loop {
        let before = words.clone();
        for i in 0..words.len() {
            let word = words[i];
            for bits in [0, 1, 2, 3, 4, 6, 8, 12, 16, 32] {
                let kept = word & !u64::MAX.checked_shr(bits).unwrap_or(0);
                words[i] = kept;
                if kept == word || fails(&words) {
                    break;
                }
                words[i] = word;
            }
        }
        if words == before {
            return words;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cases(shrinking: bool) -> Cases {
        Cases {
            draw: Draw::seed(3).stream(9),
            count: 100,
            shrinking,
        }
    }

    /// `x > 1` in the second of three numbers: the others go to their low
    /// ends, and it to the shortest binary fraction of [0, 4] beyond 1.
    fn one(case: &mut Case) -> f64 {
        let [_, x, _] = ["a", "x", "b"].map(|name| case.uniform(name, 0.0, 4.0));
        f64::from(u8::from(x > 1.0))
    }

    #[test]
    fn a_failing_case_is_shrunk_to_what_makes_it_fail() {
        let found = cases(true).worst(0.5, one).smallest_failing_case;
        let text = found.expect("three in four cases fail");
        let x: f64 = text["a = 0.0, x = ".len()..]
            .split(',')
            .next()
            .expect("a number")
            .parse()
            .expect("a number");
        assert!(text.starts_with("a = 0.0, x = "), "{text}");
        assert!(text.contains(", b = 0.0: residual 1"), "{text}");
        // 2 and 3 have one or two leading bits; 1.5 has two.
        assert!([1.5, 2.0, 3.0].contains(&x), "{text}");
        assert!(cases(false).worst(0.5, one).smallest_failing_case.is_none());
        assert!(cases(true).worst(1.5, one).smallest_failing_case.is_none());
    }

    #[test]
    fn a_residual_that_is_nan_is_found_and_fails() {
        let measured = cases(true).worst(1.0, |case| match case.below(50) {
            49 => f64::NAN,
            _ => 0.0,
        });
        assert!(measured.residual.is_nan() && !measured.holds());
        assert!(measured.smallest_failing_case.is_some());
    }

    #[test]
    fn words_that_are_repeated_draw_the_same_case() {
        let mut case = cases(false).case(7);
        let path = case.mixture_path();
        let again = Case::repeated(&case.words.list).mixture_path();
        assert_eq!(path, again);
        assert_ne!(path, cases(false).case(8).mixture_path());
    }
}

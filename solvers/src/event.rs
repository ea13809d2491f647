//! **Events**: where a function of time and state changes its sign.
//!
//! The sign is looked at at the ends of each accepted step, and the crossing
//! is found on dense output, with no evaluation of the field. So its time is
//! as accurate as dense output is, and two crossings within one step, which
//! leave the sign as it was, are not seen.

/// Writes `g(t, y)` for each row.
pub type Sign<'a, S> = &'a mut dyn FnMut(&[f64], &S, &mut [f64]);

/// What is looked for.
pub struct Event<'a, S> {
    pub(crate) function: Sign<'a, S>,
    pub(crate) crossing: Crossing,
    pub(crate) then: Then,
}

impl<S> std::fmt::Debug for Event<'_, S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut text = f.debug_struct("Event");
        let text = text.field("crossing", &self.crossing);
        text.field("then", &self.then).finish_non_exhaustive()
    }
}

/// Which changes of sign count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crossing {
    /// From negative to positive, in the direction of the solve.
    Rising,
    /// From positive to negative.
    Falling,
    /// Both.
    Either,
}

/// What happens to a sample at its event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// Its time is noted.
    GoOn,
    /// Its time is noted and the sample stays there.
    Stop,
}

impl<'a, S> Event<'a, S> {
    /// The zeros of `g(t, y)`, of which `function` writes one for each row.
    pub fn new(function: Sign<'a, S>, crossing: Crossing, then: Then) -> Self {
        Event {
            function,
            crossing,
            then,
        }
    }
}

impl<S> Event<'_, S> {
    /// The same, lent.
    pub(crate) fn lend(&mut self) -> Event<'_, S> {
        Event::new(&mut *self.function, self.crossing, self.then)
    }
}

impl Crossing {
    /// Whether a step from `before` to `after` crosses. A zero belongs to the
    /// step that ends there.
    pub(crate) fn happens(self, before: f64, after: f64) -> bool {
        let (rises, falls) = (before < 0.0 && after >= 0.0, before > 0.0 && after <= 0.0);
        match self {
            Crossing::Rising => rises,
            Crossing::Falling => falls,
            Crossing::Either => rises || falls,
        }
    }
}

/// A zero between two places where a function has different signs, by
/// Chandrupatla's method: the next place is where the parabola through the last
/// three values, taken as place over value, meets 0, wherever that parabola is
/// monotone, and half way elsewhere. A smooth zero takes some eight looks, a jump
/// as many as there are bits. Chandrupatla, Adv. Eng. Softw. 28 (1997) 145–149.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bracket {
    low: (f64, f64),
    high: (f64, f64),
    /// Which of both was looked at last, and what stood in its place before.
    last_is_low: bool,
    earlier: (f64, f64),
    /// The next place to look at, within [0, 1].
    pub(crate) theta: f64,
    looks: u32,
}

/// Looks after which only halving is trusted, for functions that mock the rule.
const PATIENCE: u32 = 60;

impl Bracket {
    /// Around a zero in (0, 1].
    pub(crate) fn new(before: f64, after: f64) -> Self {
        let mut bracket = Bracket {
            low: (0.0, before),
            high: (1.0, after),
            last_is_low: true,
            // There is no third value yet, and no comparison with NaN holds.
            earlier: (f64::NAN, f64::NAN),
            theta: 1.0,
            looks: 0,
        };
        bracket.aim();
        bracket
    }

    /// Whether the zero is known to the spacing of numbers. Then `theta` is
    /// the place at or behind it.
    pub(crate) fn done(&self) -> bool {
        self.theta >= self.high.0
    }

    /// Takes the function's value at `theta` and aims anew.
    pub(crate) fn look(&mut self, value: f64) {
        self.looks += 1;
        self.last_is_low = (value > 0.0) == (self.low.1 > 0.0) && value != 0.0;
        let end = match self.last_is_low {
            true => &mut self.low,
            false => &mut self.high,
        };
        self.earlier = std::mem::replace(end, (self.theta, value));
        self.aim();
    }

    fn aim(&mut self) {
        let (low, high) = (self.low.0, self.high.0);
        let spacing = f64::EPSILON * high;
        if self.high.1 == 0.0 || high - low <= 2.0 * spacing {
            self.theta = high;
            return;
        }
        let ((x1, f1), (x2, f2)) = match self.last_is_low {
            true => (self.low, self.high),
            false => (self.high, self.low),
        };
        let (x3, f3) = self.earlier;
        let (xi, phi) = ((x1 - x2) / (x3 - x2), (f1 - f2) / (f3 - f2));
        let monotone = phi * phi < xi && (1.0 - phi).powi(2) < 1.0 - xi;
        let share = match monotone && self.looks < PATIENCE {
            true => {
                f1 / (f2 - f1) * f3 / (f2 - f3)
                    + (x3 - x1) / (x2 - x1) * f1 / (f3 - f1) * f2 / (f3 - f2)
            }
            false => 0.5,
        };
        // Not nearer to an end than numbers are told apart, so that a bracket
        // ends small.
        let least = spacing / (high - low);
        self.theta = x1 + share.clamp(least, 1.0 - least) * (x2 - x1);
        // Between neighbours there is nothing: the later one is taken.
        if self.theta <= low {
            self.theta = high;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The place where a function changes its sign, and the looks it took.
    fn zero(f: impl Fn(f64) -> f64) -> (f64, u32) {
        let mut bracket = Bracket::new(f(0.0), f(1.0));
        let mut looks = 0;
        while !bracket.done() {
            assert!(bracket.low.0 < bracket.theta && bracket.theta < bracket.high.0);
            bracket.look(f(bracket.theta));
            looks += 1;
            assert!(
                looks == bracket.looks && looks <= PATIENCE + 53,
                "{bracket:?}"
            );
        }
        (bracket.theta, looks)
    }

    #[test]
    fn a_zero_is_found_to_the_spacing_of_numbers_in_few_looks() {
        type Function = fn(f64) -> f64;
        // Interpolation converges with an order of 1.8, as three values do:
        // after the first few looks each takes as many digits as the two before.
        let functions: [(Function, f64, u32); 7] = [
            (|x| x * x - 0.5, 0.5f64.sqrt(), 8),
            (|x| 0.5 - x * x, 0.5f64.sqrt(), 8),
            (|x| (8.0 * (x - 0.3)).tanh(), 0.3, 9),
            (|x| (3.0 * x).exp() - 2.0, 2f64.ln() / 3.0, 8),
            (|x| x - 0.25, 0.25, 3),
            // A triple zero is approached by halves, and so is a jump.
            (|x| (x - 0.9).powi(3), 0.9, 60),
            (|x| if x < 0.123 { -1e-9 } else { 1e9 }, 0.123, 57),
        ];
        for (i, (f, exact, most)) in functions.into_iter().enumerate() {
            let (found, looks) = zero(f);
            println!("{i}: {looks} looks");
            // A cube is below 1e-16 within 5e-6 of its zero, but its sign is
            // right there.
            assert!((found - exact).abs() <= 4.0 * f64::EPSILON, "{i}: {found}");
            assert!(looks <= most, "{i}: {looks}");
            let behind = f(found) == 0.0 || (f(found) > 0.0) == (f(1.0) > 0.0);
            assert!(behind, "{i}: the later neighbour is taken");
        }
    }

    /// Zeros at the ends, and a function that has no number there.
    #[test]
    fn a_zero_at_the_end_is_the_end_and_nan_does_not_go_on_for_ever() {
        assert_eq!(zero(|x| x - 1.0), (1.0, 0));
        let tiny = zero(|x| x - 1e-300);
        assert!(tiny.0 >= 1e-300 && tiny.0 <= 1.1e-300, "{tiny:?}");
        let (found, _) = zero(|x| {
            if x > 0.0 && x < 1.0 {
                f64::NAN
            } else {
                x - 0.5
            }
        });
        assert!((0.0..=1.0).contains(&found));
    }

    #[test]
    fn signs_are_told_apart_and_a_nan_is_no_crossing() {
        assert!(Crossing::Rising.happens(-1.0, 0.0) && !Crossing::Rising.happens(0.0, 1.0));
        assert!(Crossing::Falling.happens(1.0, -1.0) && !Crossing::Falling.happens(-1.0, 1.0));
        assert!(Crossing::Falling.happens(1.0, 0.0) && !Crossing::Falling.happens(0.0, -1.0));
        assert!(Crossing::Either.happens(1.0, -1.0) && Crossing::Either.happens(-1.0, 1.0));
        assert!(!Crossing::Either.happens(-1.0, f64::NAN));
    }
}

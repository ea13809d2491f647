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

/// A zero between two places where a function has different signs: the Illinois
/// method, with a bisection in every third step so that the bracket shrinks
/// whatever the function. Dowell and Jarratt, BIT 11 (1971) 168–174.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bracket {
    low: (f64, f64),
    high: (f64, f64),
    /// The next place to look at, within [0, 1].
    pub(crate) theta: f64,
    looks: u32,
}

impl Bracket {
    /// Around a zero in (0, 1].
    pub(crate) fn new(before: f64, after: f64) -> Self {
        let mut bracket = Bracket {
            low: (0.0, before),
            high: (1.0, after),
            theta: 1.0,
            looks: 0,
        };
        bracket.aim();
        bracket
    }

    /// Whether the zero is known to the spacing of numbers. Then `theta` is
    /// the place at or behind it.
    pub(crate) fn done(&self) -> bool {
        self.high.1 == 0.0 || self.high.0 - self.low.0 <= 2.0 * f64::EPSILON * self.high.0
    }

    /// Takes the function's value at `theta` and aims anew.
    pub(crate) fn look(&mut self, value: f64) {
        self.looks += 1;
        let place = (self.theta, value);
        if (value > 0.0) == (self.low.1 > 0.0) && value != 0.0 {
            // The other end, if it stays twice, counts half.
            self.low = place;
            self.high.1 *= 0.5;
        } else {
            self.high = place;
            self.low.1 *= 0.5;
        }
        self.aim();
    }

    fn aim(&mut self) {
        let ((a, fa), (b, fb)) = (self.low, self.high);
        let secant = b - fb * (b - a) / (fb - fa);
        let middle = a + 0.5 * (b - a);
        let inside = secant > a && secant < b;
        self.theta = if self.done() {
            b
        } else if inside && !(self.looks + 1).is_multiple_of(3) {
            secant
        } else {
            middle
        };
        // Between neighbours there is nothing: the later one is taken.
        if self.theta <= a || self.theta >= b {
            self.theta = b;
            self.low.0 = b;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zero_is_found_to_the_spacing_of_numbers_in_few_looks() {
        type Function = fn(f64) -> f64;
        let functions: [(Function, f64); 4] = [
            (|x| x * x - 0.5, 0.5f64.sqrt()),
            (|x| (8.0 * (x - 0.3)).tanh(), 0.3),
            (|x| (x - 0.9).powi(3), 0.9),
            (|x| if x < 0.123 { -1e-9 } else { 1e9 }, 0.123),
        ];
        for (f, zero) in functions {
            let mut bracket = Bracket::new(f(0.0), f(1.0));
            while !bracket.done() {
                bracket.look(f(bracket.theta));
                assert!(bracket.looks <= 180, "three times the bisections");
            }
            // A cube is below 1e-16 within 5e-6 of its zero, but its sign is
            // right there.
            assert!(
                (bracket.theta - zero).abs() <= 4.0 * f64::EPSILON,
                "{bracket:?}"
            );
        }
    }

    #[test]
    fn signs_are_told_apart_and_a_nan_is_no_crossing() {
        assert!(Crossing::Rising.happens(-1.0, 0.0) && !Crossing::Rising.happens(0.0, 1.0));
        assert!(Crossing::Falling.happens(1.0, -1.0) && !Crossing::Falling.happens(-1.0, 1.0));
        assert!(Crossing::Either.happens(1.0, -1.0) && Crossing::Either.happens(-1.0, 1.0));
        assert!(!Crossing::Either.happens(-1.0, f64::NAN));
    }
}

//! **Checkpoints**: `n` steps taken backwards with room for few states.
//!
//! To step back from the end, every state is needed once, the last first. With
//! `c` places for states besides the start, a state in the middle is kept, the
//! later half is done, the place is free again, and the earlier half follows.
//! Where the middle lies best, and what it costs, is known in closed form: with
//! the binomials `β(s, r) = C(s + r, s)` and the least `r` such that
//! `n ≤ β(c + 1, r)`,
//!
//! ```math
//! F(n, c) = r\,n - \beta(c + 2, r - 1) \tag{AJ.1}
//! ```
//!
//! steps are made forward again. Griewank and Walther, ACM TOMS 26 (2000)
//! 19–45 (algorithm 799, `revolve`).

/// The least number of forward steps, besides those that are made to step back,
/// for `steps` steps and `places` states to keep besides the start.
#[must_use]
pub fn forward_steps(steps: usize, places: usize) -> usize {
    if steps == 0 {
        return 0;
    }
    let mut r = 0;
    while beta(places + 1, r) < steps {
        r += 1;
    }
    // `β(s, −1)` is 0.
    let already = if r == 0 { 0 } else { beta(places + 2, r - 1) };
    (r * steps).saturating_sub(already) // (AJ.1)
}

/// `C(s + r, s)`, or the largest number if that is larger.
fn beta(s: usize, r: usize) -> usize {
    let mut product: usize = 1;
    for i in 1..=r {
        // A product of i consecutive numbers is divisible by i!.
        match product.checked_mul(s + i) {
            Some(next) => product = next / i,
            None => return usize::MAX,
        }
    }
    product
}

/// How far to go before keeping a state.
fn middle(steps: usize, places: usize) -> usize {
    let cost = |m: usize| {
        let later = forward_steps(steps - m, places - 1);
        m + later + forward_steps(m, places)
    };
    // The cost is convex in m, so its least place is found by halving.
    let (mut low, mut high) = (1, steps - 1);
    while low < high {
        let m = low.midpoint(high);
        if cost(m) <= cost(m + 1) {
            high = m;
        } else {
            low = m + 1;
        }
    }
    low
}

/// Visits the steps `steps − 1, …, 0` with the state each begins from.
/// `forward(n, y, out)` makes step `n`. What a state was kept in is used again,
/// so that nothing is allocated but the states that are alive at once.
pub(crate) fn backwards<S: Clone>(
    steps: usize,
    places: usize,
    start: &S,
    forward: &mut dyn FnMut(usize, &S, &mut S),
    visit: &mut dyn FnMut(usize, &S),
) {
    // Segments still to be done, the latest on top: where they begin, the
    // state there, their length and the places free within them. There are
    // never more than the places and one.
    let mut todo = Vec::with_capacity(places.min(steps) + 1);
    todo.push((0, start.clone(), steps, places));
    let mut free: Vec<S> = Vec::with_capacity(places.min(steps) + 3);
    while let Some((begin, state, length, places)) = todo.pop() {
        if length <= 1 {
            if length == 1 {
                visit(begin, &state);
            }
            free.push(state);
            continue;
        }
        let count = if places == 0 {
            length - 1
        } else {
            middle(length, places)
        };
        let [mut end, mut room] = [(); 2].map(|()| free.pop().unwrap_or_else(|| start.clone()));
        end.clone_from(&state);
        for n in begin..begin + count {
            forward(n, &end, &mut room);
            std::mem::swap(&mut end, &mut room);
        }
        free.push(room);
        todo.push((begin, state, count, places));
        if places == 0 {
            visit(begin + count, &end);
            free.push(end);
        } else {
            todo.push((begin + count, end, length - count, places - 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;
    use std::rc::Rc;

    /// The least cost by trying every middle.
    fn least(steps: usize, places: usize, known: &mut Vec<Vec<usize>>) -> usize {
        if steps <= 1 {
            return 0;
        }
        if places == 0 {
            return steps * (steps - 1) / 2;
        }
        if known[places][steps] == usize::MAX {
            let cost = (1..steps)
                .map(|m| m + least(steps - m, places - 1, known) + least(m, places, known));
            known[places][steps] = cost.min().expect("a middle");
        }
        known[places][steps]
    }

    /// Verifies (AJ.1).
    #[test]
    fn the_closed_form_is_the_least_cost() {
        let mut known = vec![vec![usize::MAX; 61]; 7];
        for places in 0..7 {
            for steps in 1..=60 {
                let found = forward_steps(steps, places);
                assert_eq!(found, least(steps, places, &mut known), "{steps} {places}");
            }
        }
        // Known from the article: 10 places reach 1000 steps with r = 4.
        assert!(forward_steps(1000, 9) < 4 * 1000);
    }

    /// A state that counts how many of it there are.
    struct Counted(usize, Rc<Cell<(usize, usize)>>);

    impl Counted {
        fn new(value: usize, count: &Rc<Cell<(usize, usize)>>) -> Self {
            let (now, most) = count.get();
            count.set((now + 1, most.max(now + 1)));
            Counted(value, count.clone())
        }
    }
    impl Clone for Counted {
        fn clone(&self) -> Self {
            Counted::new(self.0, &self.1)
        }
    }
    impl Drop for Counted {
        fn drop(&mut self) {
            let (now, most) = self.1.get();
            self.1.set((now - 1, most));
        }
    }

    #[test]
    fn every_step_is_visited_once_from_its_state_within_the_room_and_the_cost() {
        for places in [0, 1, 3, 6] {
            for steps in [1, 2, 7, 30, 50] {
                let count = Rc::new(Cell::new((0, 0)));
                let (mut made, mut visited) = (0, Vec::new());
                let mut forward = |n: usize, y: &Counted, out: &mut Counted| {
                    assert_eq!(n, y.0);
                    made += 1;
                    out.0 = y.0 + 1;
                };
                let start = Counted::new(0, &count);
                backwards(steps, places, &start, &mut forward, &mut |n, y| {
                    assert_eq!(n, y.0);
                    visited.push(n);
                });
                let expected: Vec<usize> = (0..steps).rev().collect();
                assert_eq!(visited, expected);
                assert_eq!(made, forward_steps(steps, places), "{steps} {places}");
                // The caller's start, ours, the places, two on the way, and a
                // copy for a moment.
                assert!(count.get().1 <= places + 5, "{} {places}", count.get().1);
            }
        }
    }
}

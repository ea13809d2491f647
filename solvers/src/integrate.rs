//! **Integrate**: step after step to the end, on a grid or by the error.
//!
//! Every row has its own time and step. A pass of the loop makes a trial step
//! for all active rows, judges it row by row, records what is asked for within
//! it, moves the accepted rows on, and puts aside those that have arrived.

use crate::adaptive::{Adaptive, Batch};
use crate::control::History;
use crate::end::{End, Outcome};
use crate::event::{Bracket, Event, Then};
use crate::method::{Estimator, Method};
use crate::solve::Solve;
use crate::space::{Field, Space};
use crate::step::{Stages, Times, interpolate, weighted};

/// Where steps come from.
#[derive(Clone, Copy)]
pub(crate) enum Steps<'a> {
    /// The intervals of a grid.
    Grid(&'a [f64]),
    /// The error estimate.
    Chosen {
        plan: &'a Adaptive,
        estimator: &'a Estimator,
    },
}

impl Steps<'_> {
    /// Where the solve begins and ends.
    pub(crate) fn ends(&self) -> (f64, f64) {
        match self {
            Steps::Grid(nodes) => (nodes[0], nodes[nodes.len() - 1]),
            Steps::Chosen { plan, .. } => (plan.t0, plan.t1),
        }
    }
}

/// The samples still under way.
struct Active<S> {
    /// Their rows in the whole batch.
    rows: Vec<usize>,
    t: Vec<f64>,
    h: Vec<f64>,
    next: Vec<f64>,
    y: S,
    history: Vec<History>,
    /// Rows that have arrived but still stand in the batch.
    arrived: Vec<bool>,
    /// The event's function at `t`.
    sign: Vec<f64>,
}

/// What was made of a trial step, row by row.
struct Verdict {
    error: Vec<f64>,
    /// DOP853's second estimate.
    third: Vec<f64>,
    accept: Vec<bool>,
    /// What to multiply the step by.
    factor: Vec<f64>,
}

/// Room for values within a step, made when it is first needed.
struct Within<S> {
    y: S,
    scratch: S,
    steps: Vec<f64>,
    theta: Vec<f64>,
}

/// A solve under way.
pub(crate) struct Run<'a, P: Space, F> {
    solve: Solve<'a, P, F>,
    method: &'a Method,
    steps: Steps<'a>,
    /// The number of the grid's interval.
    interval: usize,
    active: Active<P::State>,
    stages: Stages<P::State>,
    verdict: Verdict,
    within: Option<Within<P::State>>,
    end: End<P::State>,
}

impl<'a, P: Space, F: Field<P::State>> Run<'a, P, F> {
    pub(crate) fn new(
        solve: Solve<'a, P, F>,
        method: &'a Method,
        steps: Steps<'a>,
        y0: P::State,
    ) -> Self {
        let count = solve.space.rows(&y0);
        let (t0, _) = steps.ends();
        let mut end = End::at_start(&y0, t0, count);
        end.saved = vec![y0.clone(); solve.save_at.len()];
        // A grid needs no memory of errors.
        let judged = match steps {
            Steps::Grid(_) => 0,
            Steps::Chosen { .. } => count,
        };
        Run {
            method,
            steps,
            interval: 0,
            stages: Stages::new(method, &y0, count),
            active: Active {
                rows: (0..count).collect(),
                t: vec![t0; count],
                h: vec![0.0; count],
                next: vec![t0; count],
                y: y0,
                history: vec![History::NEW; judged],
                arrived: vec![false; count],
                sign: vec![0.0; count],
            },
            verdict: Verdict {
                error: vec![0.0; judged],
                third: vec![0.0; judged],
                accept: vec![true; count],
                factor: vec![1.0; judged],
            },
            within: None,
            end,
            solve,
        }
    }

    /// All of it.
    pub(crate) fn integrate(mut self) -> End<P::State> {
        if let Some(outcome) = self.begin() {
            return self.finish(outcome);
        }
        let most = match self.steps {
            Steps::Grid(nodes) => nodes.len() - 1,
            Steps::Chosen { plan, .. } => plan.max_steps,
        };
        for _ in 0..most {
            if self.active.rows.is_empty() {
                break;
            }
            self.attempt();
            if let Some(outcome) = self.judge() {
                return self.finish(outcome);
            }
            self.record();
            if let Some(outcome) = self.advance() {
                return self.finish(outcome);
            }
            self.compact();
            if self.show() && !self.active.rows.is_empty() {
                return self.finish(Outcome::Stopped);
            }
        }
        let outcome = match self.active.rows.is_empty() {
            true => Outcome::Done,
            false => Outcome::MaxSteps,
        };
        self.finish(outcome)
    }

    /// The first steps, what is asked for at the start, and a first look.
    fn begin(&mut self) -> Option<Outcome> {
        let (t0, _) = self.steps.ends();
        if let Some(sample) = self.solve.space.non_finite_row(&self.active.y) {
            return Some(Outcome::NonFinite { t: t0, sample });
        }
        match self.steps {
            Steps::Grid(nodes) => self.take_interval(nodes),
            Steps::Chosen { plan, estimator } => self.first_steps(plan, estimator),
        }
        if self.solve.save_at.first() == Some(&t0) {
            self.end.saved_count.fill(1);
        }
        if let Some(Event { function, .. }) = &mut self.solve.event {
            function(&self.active.t, &self.active.y, &mut self.active.sign);
        }
        self.show().then_some(Outcome::Stopped)
    }

    /// A first step for each sample, (RK.12).
    fn first_steps(&mut self, plan: &Adaptive, estimator: &Estimator) {
        let (active, stages) = (&mut self.active, &mut self.stages);
        let (space, count) = (self.solve.space, active.rows.len());
        let direction = (plan.t1 - plan.t0).signum();
        let mut evaluations = stages.begin(self.solve.field, plan.t0, &active.y);
        if let Some(h) = plan.first_step {
            active.h.fill(h.min(plan.span()) * direction);
        } else {
            let ones = vec![1.0; count];
            let norms = |terms: &[(f64, &P::State)]| {
                let mut out = vec![0.0; count];
                let between = (&active.y, &active.y);
                space.error_norm(&mut out, between, &ones, terms, &plan.norm);
                share(plan.batch, &mut out);
                out
            };
            let (size, slope) = (norms(&[(1.0, &active.y)]), norms(&[(1.0, &stages.k[0])]));
            let pairs = size.iter().zip(&slope);
            let probe = pairs.map(|(&d0, &d1)| direction * plan.probing_step(d0, d1));
            let probe: Vec<f64> = probe.collect();
            let problem = (space, &mut *self.solve.field);
            evaluations += stages.probe(problem, (plan.t0, &active.y), &probe);
            let bend = norms(&[(1.0, &stages.k[1]), (-1.0, &stages.k[0])]);
            for (i, h) in active.h.iter_mut().enumerate() {
                let (h0, bend) = (probe[i].abs(), bend[i] / probe[i].abs());
                *h = direction * plan.starting_step(h0, slope[i], bend, estimator.order());
            }
        }
        self.end.evaluations += evaluations;
        self.end.sample_evaluations += evaluations * count;
        for i in 0..count {
            active.aim(i, active.h[i], plan.t1);
        }
    }

    /// The step of the current interval, for all rows that are under way.
    fn take_interval(&mut self, nodes: &[f64]) {
        let active = &mut self.active;
        let (from, to) = (nodes[self.interval], nodes[self.interval + 1]);
        if !active.arrived.contains(&true) {
            active.t.fill(from);
            active.h.fill(to - from);
            active.next.fill(to);
            return;
        }
        for i in active.under_way() {
            (active.t[i], active.h[i], active.next[i]) = (from, to - from, to);
        }
    }

    fn attempt(&mut self) {
        let together = self.together();
        let active = &self.active;
        let problem = (self.solve.space, &mut *self.solve.field);
        // That all rows make the same step is said by a single entry.
        let times = match together {
            true => active.times_of(1),
            false => active.times_of(active.rows.len()),
        };
        let from = (times, &active.y);
        let made = self.stages.attempt(problem, self.method, from);
        self.end.evaluations += made;
        self.end.sample_evaluations += made * active.rows.len();
    }

    /// Accepts or rejects the step of each row.
    fn judge(&mut self) -> Option<Outcome> {
        match self.steps {
            Steps::Grid(_) => {
                let sample = self.broken_row()?;
                let t = self.active.t[sample];
                let sample = self.active.rows[sample];
                Some(Outcome::NonFinite { t, sample })
            }
            Steps::Chosen { plan, estimator } => {
                let together = self.together();
                self.estimate(plan, estimator, together);
                let (active, verdict) = (&mut self.active, &mut self.verdict);
                let order = estimator.order();
                if together {
                    // One decision for all.
                    let (error, mut history) = (verdict.error[0], active.history[0]);
                    verdict.accept.fill(error <= 1.0);
                    let factor = plan.controller.factor(error, order, &history);
                    verdict.factor.fill(factor);
                    history.remember(error);
                    active.history.fill(history);
                    return None;
                }
                for i in 0..active.rows.len() {
                    let (error, history) = (verdict.error[i], &mut active.history[i]);
                    verdict.accept[i] = error <= 1.0 && !active.arrived[i];
                    verdict.factor[i] = plan.controller.factor(error, order, history);
                    history.remember(error);
                }
                None
            }
        }
    }

    /// The first row under way whose result is not finite.
    fn broken_row(&self) -> Option<usize> {
        let space = self.solve.space;
        let first = space.non_finite_row(&self.stages.y)?;
        if !self.active.arrived[first] {
            return Some(first);
        }
        // Rows that have arrived are stepped on with the others, to no effect.
        let under_way = self.active.under_way();
        let rest = space.take(&self.stages.y, &under_way);
        space.non_finite_row(&rest).map(|i| under_way[i])
    }

    /// The error of each row, in units of what is allowed. Two estimates that
    /// vanish to orders 5 and 3 are mixed into one that vanishes to order 7:
    ///
    /// ```math
    /// e = \frac{e_5^2}{\sqrt{e_5^2 + 0.01\,e_3^2}} = O(h^8) \tag{RK.13}
    /// ```
    ///
    /// Hairer, Nørsett and Wanner, *Solving ODEs I*, II.10.
    fn estimate(&mut self, plan: &Adaptive, estimator: &Estimator, together: bool) {
        let (space, active, stages) = (self.solve.space, &self.active, &self.stages);
        let Verdict { error, third, .. } = &mut self.verdict;
        let norms = |out: &mut [f64], row| {
            weighted(row, &stages.k, |terms| {
                let between = (&active.y, &stages.y);
                match plan.batch {
                    Batch::Shared(mean) if together => {
                        let all =
                            space.batch_norm(out, between, &active.h, terms, (&plan.norm, mean));
                        out.fill(all);
                    }
                    _ => space.error_norm(out, between, &active.h, terms, &plan.norm),
                }
            });
        };
        match estimator {
            Estimator::Embedded { weights, .. } => norms(error, weights),
            Estimator::FifthAndThird { fifth, third: row } => {
                norms(error, fifth);
                norms(third, row);
                for (e, e3) in error.iter_mut().zip(third) {
                    if *e != 0.0 {
                        *e = *e * *e / (*e * *e + 0.01 * *e3 * *e3).sqrt(); // (RK.13)
                    }
                }
            }
        }
        if !together {
            share(plan.batch, error);
        }
    }

    /// Whether all rows make the same step.
    fn together(&self) -> bool {
        let common = match self.steps {
            Steps::Grid(_) => true,
            Steps::Chosen { plan, .. } => plan.batch != Batch::PerSample,
        };
        common && !self.active.arrived.contains(&true)
    }

    /// Events and values within the step.
    fn record(&mut self) {
        if self.solve.event.is_some() {
            self.find_events();
        }
        if self.end.saved.is_empty() {
            return;
        }
        while self.save() {}
    }

    /// Saves the next value of every row that passes a time to save at.
    /// Whether there was one.
    fn save(&mut self) -> bool {
        let (active, save_at) = (&self.active, self.solve.save_at);
        let mut theta = vec![0.0; active.rows.len()];
        let mut passed: Vec<(usize, usize)> = Vec::new();
        for (i, &row) in active.rows.iter().enumerate() {
            let which = self.end.saved_count[row];
            if self.verdict.accept[i] && which < save_at.len() {
                let (t, h, next, s) = (active.t[i], active.h[i], active.next[i], save_at[which]);
                if (s - t) * h > 0.0 && (next - s) * h >= 0.0 {
                    // An event may have cut the step: its end is not 1 then.
                    let whole = s == next && (t + h - next).abs() <= f64::EPSILON * next.abs();
                    theta[i] = if whole { 1.0 } else { ((s - t) / h).min(1.0) };
                    passed.push((which, i));
                }
            }
        }
        passed.sort_unstable();
        if passed.is_empty() {
            return false;
        }
        self.look_within(&theta);
        let within = self.within.as_ref().expect("made by the look");
        let (space, active) = (self.solve.space, &self.active);
        for group in passed.chunk_by(|a, b| a.0 == b.0) {
            let here: Vec<usize> = group.iter().map(|&(_, i)| i).collect();
            let there: Vec<usize> = here.iter().map(|&i| active.rows[i]).collect();
            let part = space.take(&within.y, &here);
            space.put(&mut self.end.saved[group[0].0], &there, &part);
            for row in there {
                self.end.saved_count[row] += 1;
            }
        }
        true
    }

    /// The states at `t + θh` into `within`.
    fn look_within(&mut self, theta: &[f64]) {
        let active = &self.active;
        if theta.iter().any(|theta| *theta < 1.0) {
            let problem = (self.solve.space, &mut *self.solve.field);
            let from = (active.times_of(active.rows.len()), &active.y);
            let made = self.stages.complete(problem, self.method, from);
            self.end.evaluations += made;
            self.end.sample_evaluations += made * active.rows.len();
        }
        let within = self.within.get_or_insert_with(|| Within {
            y: active.y.clone(),
            scratch: active.y.clone(),
            steps: vec![],
            theta: vec![],
        });
        within.theta.clear();
        within.theta.extend_from_slice(theta);
        interpolate(
            self.solve.space,
            self.method,
            (&active.y, &self.stages.k),
            (&active.h, theta),
            (&mut within.y, &mut within.scratch, &mut within.steps),
        );
    }

    /// Notes the crossings within the step, and cuts the step of a row that
    /// stops at its own.
    fn find_events(&mut self) {
        let Some(event) = self.solve.event.take() else {
            return;
        };
        let count = self.active.rows.len();
        let mut after = vec![0.0; count];
        (event.function)(&self.active.next, &self.stages.y, &mut after);
        let mut brackets: Vec<Option<Bracket>> = (0..count)
            .map(|i| {
                let before = self.active.sign[i];
                let counts = self.verdict.accept[i] && event.crossing.happens(before, after[i]);
                counts.then(|| Bracket::new(before, after[i]))
            })
            .collect();
        let theta = |brackets: &[Option<Bracket>]| -> Vec<f64> {
            let place = |b: &Option<Bracket>| b.as_ref().map_or(1.0, |b| b.theta);
            brackets.iter().map(place).collect()
        };
        let time = |active: &Active<P::State>, i: usize, theta: f64| {
            let inside = active.t[i] + theta * active.h[i];
            if theta == 1.0 { active.next[i] } else { inside }
        };
        let mut signs = vec![0.0; count];
        while brackets.iter().flatten().any(|b| !b.done()) {
            let theta = theta(&brackets);
            self.look_within(&theta);
            let within = self.within.as_ref().expect("made by the look");
            let times: Vec<f64> = (0..count)
                .map(|i| time(&self.active, i, theta[i]))
                .collect();
            (event.function)(&times, &within.y, &mut signs);
            for (bracket, &sign) in brackets.iter_mut().zip(&signs) {
                if let Some(bracket) = bracket
                    && !bracket.done()
                {
                    bracket.look(sign);
                }
            }
        }
        let theta = theta(&brackets);
        let crossed: Vec<bool> = brackets.iter().map(Option::is_some).collect();
        if crossed.contains(&true) {
            for i in (0..count).filter(|&i| crossed[i]) {
                let time = time(&self.active, i, theta[i]);
                self.end.events[self.active.rows[i]].push(time);
            }
            if event.then == Then::Stop {
                self.look_within(&theta);
                let within = self.within.as_ref().expect("made by the look");
                self.solve
                    .space
                    .choose(&mut self.stages.y, &within.y, &crossed);
                for i in (0..count).filter(|&i| crossed[i]) {
                    self.active.next[i] = time(&self.active, i, theta[i]);
                    self.active.arrived[i] = true;
                }
            }
        }
        for (i, &sign) in after.iter().enumerate() {
            if self.verdict.accept[i] {
                self.active.sign[i] = sign;
            }
        }
        self.solve.event = Some(event);
    }

    /// Moves accepted rows on and sets their next steps.
    fn advance(&mut self) -> Option<Outcome> {
        let (_, t1) = self.steps.ends();
        let (active, accept) = (&mut self.active, &self.verdict.accept);
        let moved = accept.iter().filter(|accept| **accept).count();
        if moved == active.rows.len() {
            std::mem::swap(&mut active.y, &mut self.stages.y);
        } else {
            self.solve
                .space
                .choose(&mut active.y, &self.stages.y, accept);
        }
        match (self.method.first_same_as_last, moved) {
            (true, moved) if moved == active.rows.len() => self.stages.reuse_last(self.method),
            (true, _) => {
                self.stages
                    .reuse_last_of(self.solve.space, self.method, accept);
            }
            (false, 0) => self.stages.keep_first(),
            (false, _) => self.stages.forget(),
        }
        self.end.accepted += moved;
        if let Steps::Grid(nodes) = self.steps {
            self.advance_on_grid(nodes);
            return None;
        }
        if self.together() {
            let failure = self.next_step(0, t1);
            let (active, count) = (&mut self.active, self.verdict.accept.len());
            let (t, h, next) = (active.t[0], active.h[0], active.next[0]);
            active.t.fill(t);
            active.h.fill(h);
            active.next.fill(next);
            let arrived = active.arrived[0];
            active.arrived.fill(arrived);
            if moved == 0 {
                self.end.rejected += count - 1;
            }
            return failure;
        }
        let mut failure = None;
        for i in 0..self.active.rows.len() {
            failure = failure.or(self.next_step(i, t1));
        }
        failure
    }

    /// Moves a row on if its step was accepted, and sets its next one. What
    /// went wrong if there is none.
    fn next_step(&mut self, i: usize, t1: f64) -> Option<Outcome> {
        let (active, verdict) = (&mut self.active, &self.verdict);
        if verdict.accept[i] {
            active.t[i] = active.next[i];
            active.arrived[i] |= active.t[i].to_bits() == t1.to_bits();
        } else if active.arrived[i] {
            return None;
        } else {
            self.end.rejected += 1;
        }
        let (t, h) = (active.t[i], active.h[i]);
        if active.arrived[i] {
            (active.h[i], active.next[i]) = (0.0, t);
            return None;
        }
        active.aim(i, h * verdict.factor[i], t1);
        let (error, sample) = (verdict.error[i], active.rows[i]);
        (active.next[i] == t).then_some(match error.is_nan() || error == f64::INFINITY {
            true => Outcome::NonFinite { t, sample },
            false => Outcome::StepUnderflow { t, sample },
        })
    }

    /// On a grid all rows under way move on together.
    fn advance_on_grid(&mut self, nodes: &[f64]) {
        let (active, accept) = (&mut self.active, &mut self.verdict.accept);
        self.interval += 1;
        active.t.copy_from_slice(&active.next);
        active.h.fill(0.0);
        if self.interval + 1 == nodes.len() {
            active.arrived.fill(true);
        } else {
            if active.arrived.contains(&true) {
                for (accept, arrived) in accept.iter_mut().zip(&active.arrived) {
                    *accept = !arrived;
                }
            }
            self.take_interval(nodes);
        }
    }

    /// Puts arrived rows aside, once a quarter of the active ones have arrived.
    fn compact(&mut self) {
        let space = self.solve.space;
        // Counted before they are listed: most steps end here and allocate
        // nothing.
        let under_way = self.active.arrived.iter().filter(|arrived| !**arrived);
        if 4 * under_way.count() > 3 * self.active.rows.len() {
            return;
        }
        let left = self.active.under_way();
        let size = left.len();
        let rest = (size > 0).then(|| space.take(&self.active.y, &left));
        self.deposit();
        let active = &mut self.active;
        let pick = |v: &[f64]| left.iter().map(|&i| v[i]).collect::<Vec<_>>();
        (active.t, active.h) = (pick(&active.t), pick(&active.h));
        (active.next, active.sign) = (pick(&active.next), pick(&active.sign));
        active.history = left
            .iter()
            .filter_map(|&i| active.history.get(i).copied())
            .collect();
        active.rows = left.iter().map(|&i| active.rows[i]).collect();
        active.arrived = vec![false; size];
        let verdict = &mut self.verdict;
        for row in [&mut verdict.error, &mut verdict.third, &mut verdict.factor] {
            row.truncate(size);
        }
        verdict.accept = vec![true; size];
        self.within = None;
        if let Some(rest) = rest {
            active.y = rest;
            self.stages.keep(space, &left);
        }
    }

    /// The active rows' states and times into the whole batch. What is left in
    /// their place is of no use.
    fn deposit(&mut self) {
        let active = &mut self.active;
        for (&row, &t) in active.rows.iter().zip(&active.t) {
            self.end.times[row] = t;
        }
        if active.rows.len() == self.end.times.len() {
            std::mem::swap(&mut self.end.state, &mut active.y);
        } else if !active.rows.is_empty() {
            let space = self.solve.space;
            space.put(&mut self.end.state, &active.rows, &active.y);
        }
    }

    /// Whether the observer, if there is one, asks to stop.
    fn show(&mut self) -> bool {
        let (t, y) = match self.active.rows.is_empty() {
            true => (&self.end.times, &self.end.state),
            false => (&self.active.t, &self.active.y),
        };
        match &mut self.solve.observer {
            Some(observer) => observer(t, y).is_break(),
            None => false,
        }
    }

    fn finish(mut self, outcome: Outcome) -> End<P::State> {
        self.deposit();
        self.end.outcome = outcome;
        self.end
    }
}

impl<S> Active<S> {
    /// The times of the first rows.
    fn times_of(&self, rows: usize) -> Times<'_> {
        let rows = rows.min(self.t.len());
        Times {
            t: &self.t[..rows],
            h: &self.h[..rows],
            next: &self.next[..rows],
        }
    }

    fn under_way(&self) -> Vec<usize> {
        let all = 0..self.rows.len();
        all.filter(|&i| !self.arrived[i]).collect()
    }

    /// Sets the next step of a row; one that would leave less than nothing
    /// takes the whole rest, and ends at `t1` in bits.
    fn aim(&mut self, i: usize, wish: f64, t1: f64) {
        let left = t1 - self.t[i];
        let next = self.t[i] + wish;
        let whole = wish.abs() >= left.abs() || (t1 - next) * wish <= 0.0;
        (self.h[i], self.next[i]) = if whole { (left, t1) } else { (wish, next) };
    }
}

/// One error for all samples, if they share their steps.
fn share(batch: Batch, errors: &mut [f64]) {
    if let Batch::Shared(mean) = batch {
        let error = mean.over(errors);
        errors.fill(error);
    }
}

//! A sample's answer is its own: in any batch, by any number of threads, with
//! or without a log-density beside it. And what batches with common steps do.

use rayon::prelude::*;
use solvers::{
    Adaptive, Batch, Controller, Crossing, Dense, End, Estimate, Event, Fraction, Mean, Method,
    Number, Outcome, Rows, Solve, Tableau, Then, TimeGrid, Trajectory, methods,
};
use std::ops::ControlFlow;

type Points = Vec<f64>;

const PAIRS: Rows<f64> = Rows::new(2);

fn slope(t: f64, y: &[f64], dy: &mut [f64]) {
    (dy[0], dy[1]) = (y[1], -y[0].sin() - 0.2 * y[1] + 0.5 * t.cos());
}

/// All rows by as many threads as there are.
fn pendulum(t: &[f64], y: &Points, dy: &mut Points) {
    let rows = y.par_chunks_exact(2).zip(dy.par_chunks_exact_mut(2));
    rows.zip(t).for_each(|((y, dy), &t)| slope(t, y, dy));
}

fn starts(count: usize) -> Points {
    let start = |i: usize| [(i as f64 * 0.37).sin() * 2.0, (i as f64 * 0.73).cos()];
    (0..count).flat_map(start).collect()
}

fn adaptive(method: &Method, y0: Points, plan: &Adaptive) -> End<Points> {
    let mut field = pendulum;
    let end = Solve::new(&PAIRS, &mut field).adaptive(method, y0, plan);
    let end = end.expect("a valid problem");
    assert_eq!(end.outcome, Outcome::Done);
    end
}

fn on_threads<R: Send>(threads: usize, f: impl FnOnce() -> R + Send) -> R {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
    pool.expect("threads").install(f)
}

#[test]
fn a_sample_has_the_same_bits_alone_and_among_4096_by_any_number_of_threads() {
    const ALL: usize = 4096;
    let plan = Adaptive::new(0.0, 3.0, 1e-6).expect("a plan");
    let grid = TimeGrid::uniform(0.0, 3.0, 12).expect("a grid");
    let fixed = |method: &Method, y0: Points| {
        let mut field = pendulum;
        let end = Solve::new(&PAIRS, &mut field).fixed(method, y0, &grid);
        end.expect("a valid problem").state
    };
    for method in *methods::ALL {
        let own = |y0: Points| {
            let pair = method.estimator.is_some();
            pair.then(|| adaptive(method, y0, &plan).state)
        };
        let many = on_threads(1, || (fixed(method, starts(ALL)), own(starts(ALL))));
        for threads in [2, 3] {
            let again = on_threads(threads, || (fixed(method, starts(ALL)), own(starts(ALL))));
            assert!(many == again, "{} by {threads} threads", method.name);
        }
        for i in (0..ALL).step_by(455) {
            let place = 2 * i..2 * i + 2;
            let alone = starts(ALL)[place.clone()].to_vec();
            assert_eq!(
                fixed(method, alone.clone()),
                many.0[place.clone()],
                "{}",
                method.name
            );
            let own = own(alone).map(|own| own == many.1.as_ref().expect("a pair")[place]);
            assert!(own.unwrap_or(true), "{}: sample {i}", method.name);
        }
    }
}

/// Every sample is drawn to the mean of all, which is summed in the order of the
/// rows by any number of threads: a field whose rows are not independent.
fn flock(t: &[f64], y: &Points, dy: &mut Points) {
    let mean = |i: usize| y.iter().skip(i).step_by(2).sum::<f64>() / t.len() as f64;
    let mean = [mean(0), mean(1)];
    let rows = y.par_chunks_exact(2).zip(dy.par_chunks_exact_mut(2));
    rows.zip(t).for_each(|((y, dy), &t)| {
        slope(t, y, dy);
        for i in 0..2 {
            dy[i] += 0.5 * (mean[i] - y[i]);
        }
    });
}

/// What is promised of a field that looks at the whole batch: on a grid and with
/// common steps it always gets all rows, in their order. So the answer is that
/// of one system of all coordinates, in bits, by any number of threads.
#[test]
fn a_field_of_the_whole_batch_always_gets_all_of_it() {
    const ALL: usize = 150;
    let grid = TimeGrid::uniform(0.0, 3.0, 12).expect("a grid");
    let plan = |batch: Batch| Adaptive {
        batch,
        ..Adaptive::new(0.0, 3.0, 1e-6).expect("a plan")
    };
    let together = |space: &Rows<f64>, plan: Option<&Adaptive>| {
        let mut field = |t: &[f64], y: &Points, dy: &mut Points| {
            // As one system, the samples share a time.
            let times = vec![t[0]; ALL];
            assert!(y.len() == 2 * ALL && t.iter().all(|s| *s == t[0]));
            flock(&times, y, dy);
        };
        let solve = Solve::new(space, &mut field);
        let end = match plan {
            None => solve.fixed(&methods::DOP853, starts(ALL), &grid),
            Some(plan) => solve.adaptive(&methods::DORMAND_PRINCE, starts(ALL), plan),
        };
        let end = end.expect("a valid problem");
        assert_eq!(end.outcome, Outcome::Done);
        end.state
    };
    let one = Rows::<f64>::new(2 * ALL);
    let shared = plan(Batch::Shared(Mean::RootMeanSquare));
    for plan in [None, Some(&shared)] {
        let whole = on_threads(1, || together(&PAIRS, plan));
        for threads in [2, 3] {
            assert!(whole == on_threads(threads, || together(&PAIRS, plan)));
        }
        assert!(whole == together(&one, plan), "as one system");
    }
    // With steps of their own samples are put aside as they arrive, and the
    // field sees who is left: another problem, and so another answer. Samples
    // are at different times besides.
    let mut fewest = ALL;
    let mut field = |t: &[f64], y: &Points, dy: &mut Points| {
        fewest = fewest.min(t.len());
        flock(t, y, dy);
    };
    let own = plan(Batch::PerSample);
    let solve = Solve::new(&PAIRS, &mut field);
    let end = solve.adaptive(&methods::DORMAND_PRINCE, starts(ALL), &own);
    let end = end.expect("a valid problem").state;
    let whole = together(&PAIRS, Some(&shared));
    let pairs = end.iter().zip(&whole);
    let far = pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    assert!(fewest < ALL && far > 1e-3, "{fewest} {far}");
}

#[test]
fn common_steps_are_those_of_the_mean_over_samples() {
    for mean in [Mean::RootMeanSquare, Mean::Largest] {
        let mut plan = Adaptive::new(0.0, 3.0, 1e-7).expect("a plan");
        let own = adaptive(&methods::DORMAND_PRINCE, starts(1), &plan);
        plan.batch = Batch::Shared(mean);
        // Of a batch of one, or of equals, the mean is the one.
        let one = adaptive(&methods::DORMAND_PRINCE, starts(1), &plan);
        assert_eq!((&own.state, own.evaluations), (&one.state, one.evaluations));
        let four = adaptive(&methods::DORMAND_PRINCE, starts(1).repeat(4), &plan);
        assert_eq!(four.state, own.state.repeat(4));
        assert_eq!(four.evaluations, own.evaluations);
    }
    // The largest error decides more carefully than the mean does, and then
    // no sample has a larger one than it is allowed.
    let mut plan = Adaptive::new(0.0, 3.0, 1e-7).expect("a plan");
    let own = adaptive(&methods::DORMAND_PRINCE, starts(200), &plan);
    plan.batch = Batch::Shared(Mean::Largest);
    let largest = adaptive(&methods::DORMAND_PRINCE, starts(200), &plan);
    plan.batch = Batch::Shared(Mean::RootMeanSquare);
    let mean = adaptive(&methods::DORMAND_PRINCE, starts(200), &plan);
    assert!(mean.evaluations < largest.evaluations);
    // Compaction: less work than stepping all until the last arrives, which
    // needs no fewer attempts than the most careful common step.
    assert!(own.sample_evaluations < largest.sample_evaluations);
    assert_eq!(mean.accepted % 200, 0);
}

/// A log-density beside the sample, of a wild field: left out of the norm, it
/// changes no step.
#[test]
fn a_log_density_can_be_left_out_of_the_norm() {
    let space = Rows::<f64>::new(3);
    let mut field = |t: &[f64], y: &Points, dy: &mut Points| {
        slope(t[0], &y[..2], &mut dy[..2]);
        dy[2] = -100.0 * (50.0 * t[0]).sin();
    };
    let mut plan = Adaptive::new(0.0, 3.0, 1e-6).expect("a plan");
    plan.norm.leading = Some(2);
    let y0 = vec![1.0, 0.3, 0.0];
    let solve = Solve::new(&space, &mut field);
    let out = solve
        .adaptive(&methods::TSITOURAS, y0.clone(), &plan)
        .expect("valid");
    plan.norm.leading = None;
    let solve = Solve::new(&space, &mut field);
    let within = solve
        .adaptive(&methods::TSITOURAS, y0, &plan)
        .expect("valid");
    let alone = adaptive(&methods::TSITOURAS, vec![1.0, 0.3], &plan);
    assert_eq!(out.state[..2], alone.state);
    assert_eq!(out.evaluations, alone.evaluations);
    assert!(within.evaluations > 4 * alone.evaluations);
    // Inside, its error is controlled: −2(1 − cos 150) is its end.
    let exact = 2.0 * ((150f64).cos() - 1.0);
    assert!(
        (within.state[2] - exact).abs() <= 1e-3,
        "{}",
        within.state[2]
    );
}

/// Where stability limits the step, smoother laws are rejected less often.
#[test]
fn smoother_laws_are_rejected_less_where_stability_limits_the_step() {
    let space = Rows::<f64>::new(1);
    let mut stiff = |t: &[f64], y: &Points, dy: &mut Points| dy[0] = -200.0 * (y[0] - t[0].cos());
    let mut run = |controller: Controller| {
        let mut plan = Adaptive::new(0.0, 10.0, 1e-5).expect("a plan");
        plan.controller = controller;
        let solve = Solve::new(&space, &mut stiff);
        let end = solve.adaptive(&methods::DORMAND_PRINCE, vec![0.0], &plan);
        let end = end.expect("a valid problem");
        assert_eq!(end.outcome, Outcome::Done);
        // y → cos t + sin t/200 up to 1/200²; the step's error is damped.
        let limit = 10f64.cos() + 10f64.sin() / 200.0;
        assert!((end.state[0] - limit).abs() <= 1e-4);
        end.rejected
    };
    let [i, pi, pid] = [Controller::I, Controller::PI, Controller::PID].map(&mut run);
    println!("rejected: I {i}, PI {pi}, PID {pid}");
    assert!(2 * pi <= i && pid <= i, "{i} {pi} {pid}");
}

#[test]
fn a_first_step_can_be_given() {
    let mut plan = Adaptive::new(1.0, 0.0, 1e-3).expect("a plan");
    plan.first_step = Some(0.01);
    let mut first = None;
    let mut observer = |t: &[f64], _: &Points| {
        if t[0] != 1.0 {
            first.get_or_insert(t[0]);
        }
        ControlFlow::Continue(())
    };
    let mut field = pendulum;
    let solve = Solve::new(&PAIRS, &mut field).observed(&mut observer);
    let end = solve.adaptive(&methods::DORMAND_PRINCE, starts(1), &plan);
    assert_eq!(end.expect("valid").evaluations % 6, 1, "nothing is probed");
    assert_eq!(first, Some(1.0 - 0.01));
    plan.first_step = Some(0.0);
    let solve = Solve::new(&PAIRS, &mut field);
    assert!(
        solve
            .adaptive(&methods::DORMAND_PRINCE, starts(1), &plan)
            .is_err()
    );
}

#[test]
fn blocks_change_no_answer() {
    let plan = Adaptive::new(0.0, 3.0, 1e-6).expect("a plan");
    let grid = TimeGrid::uniform(0.0, 3.0, 12).expect("a grid");
    let times = [0.5, 1.75];
    for block in [1, 7, 64, 1000] {
        let mut field = pendulum;
        let mut run = |chosen: bool, block: Option<usize>| {
            let solve = Solve::new(&PAIRS, &mut field).save_at(&times);
            let solve = match block {
                Some(rows) => solve.in_blocks(rows),
                None => solve,
            };
            let end = match chosen {
                true => solve.adaptive(&methods::DOP853, starts(100), &plan),
                false => solve.fixed(&methods::RK4, starts(100), &grid),
            };
            end.expect("a valid problem")
        };
        for chosen in [true, false] {
            let (whole, parts) = (run(chosen, None), run(chosen, Some(block)));
            assert_eq!(whole.outcome, parts.outcome);
            assert_eq!((&whole.state, &whole.times), (&parts.state, &parts.times));
            assert_eq!(
                (&whole.saved, &whole.saved_count),
                (&parts.saved, &parts.saved_count)
            );
            assert_eq!(
                (whole.accepted, whole.rejected),
                (parts.accepted, parts.rejected)
            );
            assert!(parts.evaluations <= whole.evaluations);
        }
    }
    // A row that breaks down is named by its place in the whole batch.
    let mut broken = |t: &[f64], y: &Points, dy: &mut Points| {
        pendulum(t, y, dy);
        for (y, dy) in y.chunks_exact(2).zip(dy.chunks_exact_mut(2)) {
            dy[0] = if y[1] > 50.0 { f64::NAN } else { dy[0] };
        }
    };
    let mut y0 = starts(30);
    y0[2 * 17 + 1] = 100.0;
    let solve = Solve::new(&PAIRS, &mut broken).in_blocks(8);
    let end = solve
        .fixed(&methods::RK4, y0, &grid)
        .expect("a valid problem");
    assert_eq!(end.outcome, Outcome::NonFinite { t: 0.0, sample: 17 });
    assert_eq!((end.times[0], end.times[29]), (3.0, 3.0));
}

/// A batch with common steps, in blocks or as a whole.
fn in_step(
    mut field: impl FnMut(&[f64], &Points, &mut Points),
    method: &Method,
    plan: &Adaptive,
    block: usize,
) -> End<Points> {
    let solve = Solve::new(&PAIRS, &mut field).in_blocks(block);
    let end = solve.adaptive(method, starts(100), plan);
    end.expect("a valid problem")
}

/// Blocks share each step: the largest error is the same in bits, and so is
/// everything; a root mean square is summed in another order.
#[test]
fn blocks_with_common_steps_make_the_steps_of_the_whole() {
    for (t0, t1) in [(0.0, 3.0), (2.0, -1.0), (3.0, 0.25)] {
        for first_step in [None, Some(2.5)] {
            for method in methods::ALL.iter().filter(|m| m.estimator.is_some()) {
                for mean in [Mean::Largest, Mean::RootMeanSquare] {
                    let mut plan = Adaptive::new(t0, t1, 1e-6).expect("a plan");
                    (plan.batch, plan.first_step) = (Batch::Shared(mean), first_step);
                    let whole = in_step(pendulum, method, &plan, 100);
                    assert_eq!(whole.outcome, Outcome::Done);
                    for block in [7, 64] {
                        let mut most = 0;
                        let field = |t: &[f64], y: &Points, dy: &mut Points| {
                            most = most.max(t.len());
                            pendulum(t, y, dy);
                        };
                        let parts = in_step(field, method, &plan, block);
                        let place = format!("{} {mean:?} {block}", method.name);
                        assert_eq!(most, block, "{place}");
                        assert_eq!(parts.outcome, whole.outcome, "{place}");
                        assert_eq!(parts.times, whole.times, "{place}");
                        assert_eq!(parts.counts, whole.counts, "{place}");
                        assert_eq!(parts.evaluations, whole.evaluations, "{place}");
                        assert_eq!(parts.sample_evaluations, whole.sample_evaluations);
                        assert_eq!(parts.accepted, whole.accepted, "{place}");
                        assert_eq!(parts.rejected, whole.rejected, "{place}");
                        assert!(first_step.is_none() || whole.rejected > 0, "{place}");
                        if mean == Mean::Largest {
                            assert_eq!(parts.state, whole.state, "{place}");
                        }
                        for (a, b) in parts.state.iter().zip(&whole.state) {
                            // Steps that differ by roundings, and errors of the
                            // size of the tolerance that differ with them.
                            assert!((a - b).abs() <= 1e-12, "{place}: {a} {b}");
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn blocks_with_common_steps_end_as_the_whole_does() {
    let mut plan = Adaptive::new(0.0, 3.0, 1e-6).expect("a plan");
    plan.batch = Batch::Shared(Mean::Largest);
    let method = &methods::DORMAND_PRINCE;
    let both = |field: fn(&[f64], &Points, &mut Points), plan: &Adaptive| {
        let [whole, parts] = [100, 8].map(|block| in_step(field, method, plan, block));
        assert_eq!(whole.outcome, parts.outcome);
        assert_eq!((whole.state, whole.counts), (parts.state, parts.counts));
        assert_eq!(whole.times, parts.times);
        parts.outcome
    };
    plan.max_steps = 4;
    match both(pendulum, &plan) {
        Outcome::MaxSteps { t, sample: 0 } => assert!(0.0 < t && t < 3.0, "{t}"),
        other => panic!("{other:?}"),
    }
    plan.max_steps = 10_000;
    // One sample's field breaks down at a time that no step can pass.
    let broken = |t: &[f64], y: &Points, dy: &mut Points| {
        pendulum(t, y, dy);
        for ((y, dy), t) in y.chunks_exact(2).zip(dy.chunks_exact_mut(2)).zip(t) {
            // Some come close to 0.3 sooner or later.
            let its = (y[0] - 0.3).abs() < 0.02;
            dy[0] = if *t > 1.0 && its { f64::NAN } else { dy[0] };
        }
    };
    match both(broken, &plan) {
        Outcome::NonFinite { t, .. } => assert!(t >= 1.0 - 1e-9, "{t}"),
        other => panic!("{other:?}"),
    }
    // A start that is none.
    let mut y0 = starts(20);
    y0[2 * 13] = f64::INFINITY;
    let mut field = pendulum;
    let solve = Solve::new(&PAIRS, &mut field).in_blocks(8);
    let end = solve.adaptive(method, y0, &plan).expect("valid");
    assert_eq!(end.outcome, Outcome::NonFinite { t: 0.0, sample: 13 });
    assert_eq!(end.evaluations, 0);
    // `y' = y²` explodes at 1 for the sample that begins at 1.
    let line = Rows::<f64>::new(1);
    let mut square = |_: &[f64], y: &Points, dy: &mut Points| {
        dy.iter_mut().zip(y).for_each(|(dy, y)| *dy = y * y);
    };
    let solve = Solve::new(&line, &mut square).in_blocks(2);
    let end = solve.adaptive(method, vec![0.1, 0.2, 0.1, 0.0, 1.0], &plan);
    let end = end.expect("valid");
    assert!(
        matches!(end.outcome, Outcome::StepUnderflow { .. }),
        "{:?}",
        end.outcome
    );
    assert!(end.state.iter().all(|y| y.is_finite()));
    // What is asked for within steps is answered as without blocks.
    let times = [0.5, 1.75];
    let [whole, parts] = [100, 8].map(|block| {
        let solve = Solve::new(&PAIRS, &mut field).save_at(&times);
        let end = solve.in_blocks(block).adaptive(method, starts(100), &plan);
        end.expect("valid")
    });
    assert_eq!((whole.saved, whole.state), (parts.saved, parts.state));
}

/// Oscillators in a ring, each of its own pace: a row of any length. Sums go in
/// the order of the coordinates, whatever the batch.
fn ring<F: Number, const D: usize>(t: &[f64], y: &[F], dy: &mut [F]) {
    let number = |x: f64| F::from(x).expect("a number");
    for ((y, dy), t) in y.chunks_exact(D).zip(dy.chunks_exact_mut(D)).zip(t) {
        for i in 0..D {
            let drive = number(0.3 * (t + i as f64).cos());
            dy[i] = (y[(i + 1) % D] - number(1.5) * y[i]).sin() + drive;
        }
    }
}

/// Samples alone and among others, in blocks and not, in steps of their own by
/// every law and on a grid: the same bits, and the same counts.
fn a_sample_is_its_own<F: Number, const D: usize>(tolerance: f64) {
    const ALL: usize = 203;
    let space = Rows::<F>::new(D);
    let starts: Vec<F> = (0..ALL * D)
        .map(|i| F::from((i as f64 * 0.37).sin() * (1.0 + (i / D % 7) as f64)))
        .map(|x| x.expect("a number"))
        .collect();
    let grid = TimeGrid::uniform(0.0, 6.0, 9).expect("a grid");
    let laws = [Controller::I, Controller::PI, Controller::PID];
    for method in *methods::ALL {
        let pair = method.estimator.is_some();
        let chosen = laws.into_iter().filter(|_| pair).map(Some);
        for law in chosen.chain([None]) {
            let mut field = |t: &[f64], y: &Vec<F>, dy: &mut Vec<F>| ring::<F, D>(t, y, dy);
            let mut run = |rows: std::ops::Range<usize>, block: Option<usize>| {
                let y0 = starts[rows.start * D..rows.end * D].to_vec();
                let mut solve = Solve::new(&space, &mut field);
                if let Some(block) = block {
                    solve = solve.in_blocks(block);
                }
                let end = match law {
                    None => solve.fixed(method, y0, &grid),
                    Some(controller) => {
                        let mut plan = Adaptive::new(0.0, 6.0, tolerance).expect("a plan");
                        // Too long for most, so that some are rejected.
                        (plan.controller, plan.first_step) = (controller, Some(6.0));
                        solve.adaptive(method, y0, &plan)
                    }
                };
                let end = end.expect("a valid problem");
                assert_eq!(end.outcome, Outcome::Done);
                end
            };
            let place = format!("{} {D} {law:?}", method.name);
            let whole = run(0..ALL, None);
            for block in [1, 8, 50] {
                let parts = run(0..ALL, Some(block));
                assert!(parts.state == whole.state, "{place} in blocks of {block}");
                assert_eq!(parts.counts, whole.counts, "{place} in blocks of {block}");
            }
            // The first, the last, one in the middle of a vector's width, some.
            for row in [0, 1, 5, 77, 130, ALL - 1] {
                let alone = run(row..row + 1, None);
                let bits = alone.state[..] == whole.state[row * D..(row + 1) * D];
                assert!(bits, "{place}: row {row}");
                assert_eq!(alone.counts[0], whole.counts[row], "{place}: row {row}");
            }
            // A part of the batch, from a place that fills no vector.
            let part = run(3..90, None);
            assert!(part.state[..] == whole.state[3 * D..90 * D], "{place}");
            if law.is_some() {
                assert!(whole.rejected > 0, "{place}: some are rejected");
                let differ = whole.counts.iter().any(|c| *c != whole.counts[0]);
                assert!(differ, "{place}: samples need steps of their own");
            }
        }
    }
}

#[test]
fn a_sample_has_its_own_bits_in_rows_of_any_length_by_any_law() {
    a_sample_is_its_own::<f64, 1>(1e-6);
    a_sample_is_its_own::<f64, 2>(1e-6);
    a_sample_is_its_own::<f64, 3>(1e-6);
    a_sample_is_its_own::<f64, 5>(1e-6);
    // Single precision has seven digits.
    a_sample_is_its_own::<f32, 1>(1e-4);
    a_sample_is_its_own::<f32, 2>(1e-4);
    a_sample_is_its_own::<f32, 3>(1e-4);
    a_sample_is_its_own::<f32, 5>(1e-4);
}

/// The judge notices a batch that is felt: with common steps the same sample has
/// other bits in another batch.
#[test]
fn common_steps_are_felt() {
    let mut plan = Adaptive::new(0.0, 2.0, 1e-6).expect("a plan");
    plan.batch = Batch::Shared(Mean::Largest);
    let whole = adaptive(&methods::TSITOURAS, starts(203), &plan);
    let alone = adaptive(&methods::TSITOURAS, starts(1), &plan);
    assert!(alone.state[..] != whole.state[..2]);
}

/// A pair whose last stage is not the first of the next step: Heun's with
/// Euler's method.
fn heun_with_euler() -> Method {
    let [o, half, one] = [Fraction::ZERO, Fraction::new(1, 2), Fraction::ONE];
    let tableau: Tableau<Fraction, 2> = Tableau {
        name: "Heun-Euler",
        source: "Heun, Z. Math. Phys. 45 (1900) 23-38",
        order: 2,
        c: [o, one],
        a: [[o, o], [one, o]],
        b: [half, half],
        estimate: Estimate::Embedded([half, Fraction::new(-1, 2)]),
        dense: Dense::continuous(2, &[]),
    };
    tableau.checked().into()
}

/// Without a stage to use again, each step asks for its first slope, but after
/// a rejection: alone, in a batch, and in blocks with common steps.
#[test]
fn a_pair_without_a_stage_to_use_again_makes_the_same_steps_everywhere() {
    let method = heun_with_euler();
    assert!(!method.first_same_as_last);
    let mut plan = Adaptive::new(0.0, 3.0, 1e-4).expect("a plan");
    plan.first_step = Some(2.0);
    let whole = adaptive(&method, starts(100), &plan);
    assert!(whole.rejected > 100);
    for i in [0, 41, 99] {
        let alone = adaptive(&method, starts(100)[2 * i..2 * i + 2].to_vec(), &plan);
        assert_eq!(alone.state[..], whole.state[2 * i..2 * i + 2]);
        let (counts, steps) = (alone.counts[0], alone.counts[0].accepted);
        assert_eq!(counts, whole.counts[i]);
        // Two slopes for an accepted step, one of which a rejected one finds
        // there; and the first of all.
        assert_eq!(counts.evaluations, 2 * steps + counts.rejected);
    }
    plan.batch = Batch::Shared(Mean::Largest);
    let whole = in_step(pendulum, &method, &plan, 100);
    let parts = in_step(pendulum, &method, &plan, 8);
    assert!(whole.rejected > 0);
    assert_eq!(whole.state, parts.state);
    assert_eq!(
        (whole.counts, whole.evaluations),
        (parts.counts, parts.evaluations)
    );
}

/// The root mean square of a batch weighs its blocks by their rows: a last one
/// of a single row must not count as much as the others. And the first step is
/// found from how the slope changes, where that is more than the slope.
#[test]
fn blocks_of_unlike_lengths_make_the_common_steps_of_the_whole() {
    let wild = |t: &[f64], y: &Points, dy: &mut Points| {
        pendulum(t, y, dy);
        // The last of 25 rows, in a block of its own, turns fast.
        if let Some(fast) = dy
            .chunks_exact_mut(2)
            .zip(y.chunks_exact(2))
            .find(|(_, y)| y[0] > 50.0)
        {
            (fast.0[0], fast.0[1]) = (30.0 * (fast.1[1]), 30.0 * (100.0 - fast.1[0]));
        }
    };
    let mut start = starts(25);
    (start[48], start[49]) = (100.0, 1.0);
    let mut plan = Adaptive::new(0.0, 1.0, 1e-6).expect("a plan");
    plan.batch = Batch::Shared(Mean::RootMeanSquare);
    for method in methods::ALL.iter().filter(|m| m.estimator.is_some()) {
        let [whole, parts] = [25, 8].map(|block| {
            let mut field = wild;
            let solve = Solve::new(&PAIRS, &mut field).in_blocks(block);
            solve.adaptive(method, start.clone(), &plan).expect("valid")
        });
        assert_eq!(whole.counts, parts.counts, "{}", method.name);
        for (a, b) in whole.state.iter().zip(&parts.state) {
            assert!((a - b).abs() <= 1e-11, "{}: {a} {b}", method.name);
        }
    }
    // A slope of 0 that changes fast: only the change tells of it.
    let sudden = |t: &[f64], _: &Points, dy: &mut Points| {
        for (dy, t) in dy.chunks_exact_mut(2).zip(t) {
            (dy[0], dy[1]) = (1e3 * t, -1e3 * t);
        }
    };
    for mean in [Mean::RootMeanSquare, Mean::Largest] {
        plan.batch = Batch::Shared(mean);
        let first_step = |block: usize| {
            let mut seen = Vec::new();
            let mut field = |t: &[f64], y: &Points, dy: &mut Points| {
                seen.push(t[0]);
                sudden(t, y, dy);
            };
            let solve = Solve::new(&PAIRS, &mut field).in_blocks(block);
            solve
                .adaptive(&methods::BOGACKI_SHAMPINE, starts(25), &plan)
                .expect("valid");
            seen.sort_by(f64::total_cmp);
            seen.dedup();
            seen
        };
        assert_eq!(first_step(25), first_step(8), "{mean:?}");
    }
}

/// A batch with common steps that is watched, or asked for values or events, is
/// answered as without blocks.
#[test]
fn a_batch_that_is_watched_is_not_divided() {
    let mut plan = Adaptive::new(0.0, 3.0, 1e-6).expect("a plan");
    plan.batch = Batch::Shared(Mean::Largest);
    let method = &methods::DORMAND_PRINCE;
    let mut field = pendulum;
    let mut shown = Vec::new();
    let mut observer = |t: &[f64], _: &Points| {
        shown.push(t.len());
        ControlFlow::Continue(())
    };
    let solve = Solve::new(&PAIRS, &mut field).observed(&mut observer);
    let end = solve
        .in_blocks(8)
        .adaptive(method, starts(20), &plan)
        .expect("valid");
    assert_eq!(
        shown,
        vec![20; 1 + end.counts[0].accepted + end.counts[0].rejected]
    );
    let mut first = |_: &[f64], y: &Points, g: &mut [f64]| {
        g.iter_mut()
            .zip(y.chunks_exact(2))
            .for_each(|(g, y)| *g = y[0]);
    };
    let [whole, parts] = [20, 8].map(|block| {
        let event = Event::new(&mut first, Crossing::Either, Then::GoOn);
        let solve = Solve::new(&PAIRS, &mut field).event(event).in_blocks(block);
        solve.adaptive(method, starts(20), &plan).expect("valid")
    });
    assert!(whole.events.iter().flatten().count() > 5);
    assert_eq!((whole.events, whole.state), (parts.events, parts.state));
    let mut kept = Trajectory::new();
    let solve = Solve::new(&PAIRS, &mut field)
        .kept_in(&mut kept)
        .in_blocks(8);
    let end = solve.adaptive(method, starts(20), &plan).expect("valid");
    assert_eq!(kept.steps(3), end.counts[3].accepted);
}

/// With a quarter of the batch at its end the rest goes on alone.
#[test]
fn a_quarter_that_has_arrived_is_put_aside_at_once() {
    let line = Rows::<f64>::new(1);
    let mut sizes = Vec::new();
    let mut decay = |t: &[f64], y: &Points, dy: &mut Points| {
        sizes.push(t.len());
        // The larger the number, the faster.
        dy.iter_mut().zip(y).for_each(|(dy, y)| *dy = -y * y * y);
    };
    let plan = Adaptive::new(0.0, 1.0, 1e-8).expect("a plan");
    let end = Solve::new(&line, &mut decay)
        .adaptive(&methods::DORMAND_PRINCE, vec![4.0, 0.1, 1.0, 2.0], &plan)
        .expect("valid");
    assert_eq!(end.outcome, Outcome::Done);
    sizes.dedup();
    assert_eq!(sizes, [4, 3, 2, 1]);
}

/// Of a batch with common steps, those that an event has stopped have no say in
/// the error any more.
#[test]
fn a_sample_at_rest_has_no_say_in_the_common_step() {
    let line = Rows::<f64>::new(1);
    // The first explodes at 1, but rests from 2 on, at 0.5.
    let mut square = |_: &[f64], y: &Points, dy: &mut Points| {
        dy.iter_mut().zip(y).for_each(|(dy, y)| *dy = y * y);
    };
    let mut at_two = |_: &[f64], y: &Points, g: &mut [f64]| {
        g.iter_mut().zip(y).for_each(|(g, y)| *g = y - 2.0);
    };
    for mean in [Mean::RootMeanSquare, Mean::Largest] {
        let mut plan = Adaptive::new(0.0, 2.0, 1e-8).expect("a plan");
        plan.batch = Batch::Shared(mean);
        let event = Event::new(&mut at_two, Crossing::Rising, Then::Stop);
        let solve = Solve::new(&line, &mut square).event(event);
        let start = vec![1.0, 0.1, 0.05, -0.3, 0.02, 0.01];
        let end = solve.adaptive(&methods::DORMAND_PRINCE, start, &plan);
        let end = end.expect("valid");
        assert_eq!(end.outcome, Outcome::Done);
        assert!((end.times[0] - 0.5).abs() <= 1e-7, "{:?}", end.times);
        assert!(end.times[1..].iter().all(|&t| t == 2.0));
        // Those under way still share each of their steps.
        assert!(
            end.counts[1..].iter().all(|c| *c == end.counts[1]),
            "{mean:?}"
        );
        // After the event the smooth rest needs a handful of steps.
        let later = end.counts[1].accepted - end.counts[0].accepted;
        assert!(later < 12, "{mean:?}: {later}");
        assert!((end.state[1] - 1.0 / (10.0 - 2.0)).abs() <= 1e-7);
    }
}

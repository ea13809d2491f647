//! Gradients of solves: through a tape, through duals, and by adjoints that
//! know neither and ask the field for its pull.
//!
//! All are the derivative of the same steps, so they agree to rounding.

use autograd::{Algebra, Cpu, Dual, Tensor, Var, jvp, value_and_grad, vjp};
use fm::batches::Batches;
use fm::sampler::TensorSpace;
use solvers::{
    Adaptive, Companions, Method, Outcome, Solve, TimeGrid, adaptive_adjoint, discrete_adjoint,
    methods, reversible_adjoint, reversible_heun,
};
use std::ops::ControlFlow;

type Plain = Tensor<Cpu<f64>>;
type Taped = Tensor<Var<Cpu<f64>>>;

/// `tanh(y W) + cos t`.
fn field<A: Algebra>(t: &[f64], y: &Tensor<A>, w: &Tensor<A>) -> Tensor<A> {
    y.matmul(w).tanh() + t[0].cos()
}

fn start() -> Plain {
    Plain::new(&[3, 2], vec![0.3, -0.8, 1.1, 0.2, -0.5, 0.9])
}

fn matrix() -> Plain {
    Plain::new(&[2, 2], vec![0.4, -1.2, 0.9, 0.3])
}

fn bar() -> Plain {
    Plain::new(&[3, 2], vec![1.0, -0.5, 0.25, 2.0, -1.5, 0.75])
}

fn grid() -> TimeGrid {
    TimeGrid::new(vec![0.1, 0.3, 0.45, 0.8, 1.0, 1.3]).expect("a grid")
}

/// `⟨ȳ, y(t₁)⟩` in any algebra.
fn pairing<A: Batches>(method: &Method, y0: &Tensor<A>, w: &Tensor<A>) -> Tensor<A> {
    let (space, grid) = (TensorSpace::<A>::new(), grid());
    let mut field = |t: &[f64], y: &Tensor<A>, dy: &mut Tensor<A>| *dy = field(t, y, w);
    let end = Solve::new(&space, &mut field).fixed(method, y0.clone(), &grid);
    paired(&end.expect("a valid problem").state)
}

fn paired<A: Algebra>(y: &Tensor<A>) -> Tensor<A> {
    let weights = y.lift(&[3, 2], &bar().to_vec());
    (y * weights).sum()
}

/// The field's pull by a tape; gradients of the matrix are added up.
fn pull<'a>(
    w: &'a Plain,
    w_bar: &'a mut Plain,
) -> impl FnMut(&[f64], &Plain, &Plain, f64, &mut Plain) + 'a {
    move |t: &[f64], y: &Plain, y_bar: &Plain, weight: f64, out: &mut Plain| {
        let both = (y.clone(), w.clone());
        let (_, (y_part, w_part)) = vjp(|(y, w)| field(t, y, w), &both, y_bar);
        *w_bar = &*w_bar + weight * w_part;
        *out = y_part;
    }
}

/// Some hundred operations on numbers near 1, in another order.
const ROUNDING: f64 = 1e-12;

fn near(a: &Plain, b: &Plain) -> bool {
    let (a, b) = (a.to_vec(), b.to_vec());
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() <= ROUNDING)
}

#[test]
fn a_tape_duals_and_the_discrete_adjoint_agree_on_every_method() {
    let both = (start(), matrix());
    for method in *methods::ALL {
        let (_, (y_bar, w_bar)) =
            value_and_grad(|(y, w)| pairing::<Var<Cpu<f64>>>(method, y, w), &both);
        // Forward along a direction.
        let along = (bar(), Plain::new(&[2, 2], vec![0.5, 0.1, -0.7, 0.2]));
        let (_, forward) = jvp(
            |(y, w)| pairing::<Dual<Cpu<f64>>>(method, y, w),
            &both,
            &along,
        );
        let reverse = (&y_bar * &along.0).sum().item() + (&w_bar * &along.1).sum().item();
        assert!(
            (forward.item() - reverse).abs() <= 10.0 * ROUNDING,
            "{}",
            method.name
        );
        // And by the pull of the field alone, with room for two states.
        let space = TensorSpace::<Cpu<f64>>::new();
        let mut own = Plain::new(&[2, 2], vec![0.0; 4]);
        let w = matrix();
        let mut plain = |t: &[f64], y: &Plain, dy: &mut Plain| *dy = field(t, y, &w);
        let found = discrete_adjoint(
            &space,
            (&mut plain, &mut pull(&w, &mut own)),
            method,
            &start(),
            &grid(),
            &bar(),
            2,
        );
        assert!(near(&found.start_bar, &y_bar), "{}", method.name);
        assert!(near(&own, &w_bar), "{}", method.name);
    }
}

#[test]
fn the_reversible_adjoint_is_the_tapes() {
    let both = (start(), matrix());
    let (_, (y_bar, w_bar)) = value_and_grad(
        |(y, w): &(Taped, Taped)| {
            let space = TensorSpace::new();
            let mut taped = |t: &[f64], y: &Tensor<_>, dy: &mut Tensor<_>| *dy = field(t, y, w);
            let begin = Companions::at(y.clone());
            paired(&reversible_heun(&space, &mut taped, begin, &grid()).state.y)
        },
        &both,
    );
    let (space, w) = (TensorSpace::<Cpu<f64>>::new(), matrix());
    let mut plain = |t: &[f64], y: &Plain, dy: &mut Plain| *dy = field(t, y, &w);
    let end = reversible_heun(&space, &mut plain, Companions::at(start()), &grid()).state;
    let mut own = Plain::new(&[2, 2], vec![0.0; 4]);
    let found = {
        let problem = (&mut plain, &mut pull(&w, &mut own));
        reversible_adjoint(&space, problem, (end, &bar()), &grid())
    };
    assert!(near(&found.start_bar, &y_bar) && near(&own, &w_bar));
    assert!(near(&found.start.y, &start()) && near(&found.start.hat, &start()));
}

/// An adjoint that chooses its own steps on the way back, with a tape's pull:
/// the derivative of the flow, and so that of any solve as careful.
#[test]
fn an_adaptive_adjoint_by_a_tapes_pull_is_the_derivative_of_the_flow() {
    let both = (start(), matrix());
    let plan = Adaptive::new(0.1, 1.3, 1e-11).expect("a plan");
    let (_, (y_bar, w_bar)) = value_and_grad(
        |(y, w): &(Taped, Taped)| {
            let space = TensorSpace::new();
            let mut taped = |t: &[f64], y: &Tensor<_>, dy: &mut Tensor<_>| {
                let own: Vec<Tensor<_>> = (0..t.len())
                    .map(|i| field(&t[i..], &y.slice(0, i, 1), w))
                    .collect();
                *dy = Tensor::concat(&own.iter().collect::<Vec<_>>(), 0);
            };
            let solve = Solve::new(&space, &mut taped);
            let end = solve.adaptive(&methods::DOP853, y.clone(), &plan);
            paired(&end.expect("a valid problem").state)
        },
        &both,
    );
    let (space, w) = (TensorSpace::<Cpu<f64>>::new(), matrix());
    let clock = |t: &[f64]| Plain::new(&[t.len(), 1], t.iter().map(|t| t.cos()).collect());
    let mut plain = |t: &[f64], y: &Plain, dy: &mut Plain| *dy = y.matmul(&w).tanh() + clock(t);
    let end = Solve::new(&space, &mut plain).adaptive(&methods::DOP853, start(), &plan);
    let end = end.expect("a valid problem").state;
    // The pull does not depend on the time.
    let mut own = Plain::new(&[2, 2], vec![0.0; 4]);
    let found = adaptive_adjoint(
        &space,
        (&mut plain, &mut pull(&w, &mut own)),
        &methods::DOP853,
        (&end, &bar()),
        &plan,
    );
    let found = found.expect("a valid plan");
    assert_eq!(found.outcome, Outcome::Done);
    let far = |a: &Plain, b: &Plain| {
        let pairs = a.to_vec().into_iter().zip(b.to_vec());
        pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
    };
    // Ten steps of 1e-11 each way, on numbers near 1.
    assert!(far(&found.start, &start()) <= 1e-9);
    let (state, matrix) = (far(&found.start_bar, &y_bar), far(&own, &w_bar));
    assert!(state <= 1e-9 && matrix <= 1e-9, "{state:e} {matrix:e}");
}

/// The steps that a controller chose are numbers, not functions of the state:
/// the gradient through an adaptive solve is that of a solve on the grid of its
/// accepted steps, rejected ones leave nothing.
#[test]
fn gradients_stop_at_the_controller() {
    let mut plan = Adaptive::new(0.1, 3.0, 1e-5).expect("a plan");
    plan.first_step = Some(2.0);
    let one = |y: &[f64]| Plain::new(&[1, 2], y.to_vec());
    let y0 = one(&[0.3, -0.8]);
    let mut nodes = vec![];
    let mut rejected = 0;
    let both = (y0, matrix());
    let (_, chosen) = value_and_grad(
        |(y, w): &(Taped, Taped)| {
            let space = TensorSpace::new();
            let mut taped = |t: &[f64], y: &Tensor<_>, dy: &mut Tensor<_>| *dy = field(t, y, w);
            let mut observer = |t: &[f64], _: &Tensor<Var<Cpu<f64>>>| {
                if nodes.last() != Some(&t[0]) {
                    nodes.push(t[0]);
                }
                ControlFlow::Continue(())
            };
            let solve = Solve::new(&space, &mut taped).observed(&mut observer);
            let end = solve.adaptive(&methods::DORMAND_PRINCE, y.clone(), &plan);
            let end = end.expect("a valid problem");
            assert_eq!(end.outcome, Outcome::Done);
            rejected = end.rejected;
            end.state.square().sum()
        },
        &both,
    );
    assert!(rejected > 0 && nodes.len() > 3, "{rejected} {nodes:?}");
    let grid = TimeGrid::new(nodes).expect("a grid");
    let (_, fixed) = value_and_grad(
        |(y, w): &(Taped, Taped)| {
            let space = TensorSpace::new();
            let mut taped = |t: &[f64], y: &Tensor<_>, dy: &mut Tensor<_>| *dy = field(t, y, w);
            let solve = Solve::new(&space, &mut taped);
            let end = solve.fixed(&methods::DORMAND_PRINCE, y.clone(), &grid);
            end.expect("a valid problem").state.square().sum()
        },
        &both,
    );
    assert!(near(&chosen.0, &fixed.0) && near(&chosen.1, &fixed.1));
}

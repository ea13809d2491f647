//! **Event times** as functions of what a solve depends on.
//!
//! A solve that stops where `g(t, y) = 0` finds the time as a number. It depends
//! on the start and on the field's parameters `p` through the state, so that by
//! the implicit function theorem
//!
//! ```math
//! \frac{dt^*}{dp} = -\frac{g_p + g_y\,y_p}{g_t + g_y\,v}, \qquad
//! \frac{dy^*}{dp} = y_p + v\,\frac{dt^*}{dp} \tag{EV.1}
//! ```
//!
//! with `y_p` the derivative of the state at the fixed time `t*`, which a solve
//! in duals or variables carries. One step of Newton's method from `t*`,
//! `t* − g/ġ`, has this derivative if the rate `ġ = g_t + g_y v` is a number, and
//! does not move the time but for rounding, since `g` vanishes there. Chen, Amos
//! and Nickel, *Learning neural event functions for ordinary differential
//! equations*, ICLR 2021.

use autograd::{Algebra, Dual, Tensor, jvp};

/// The time and the state of an event.
#[derive(Clone, Debug)]
pub struct AtEvent<A: Algebra> {
    /// `[B, 1]`.
    pub time: Tensor<A>,
    /// `[B, D]`.
    pub state: Tensor<A>,
}

/// Lets the times and states at which samples stopped, `[B]` and `[B, D]`, move
/// with what they depend on.
///
/// `velocity` is the field that was solved. `event` is the function whose zero
/// it is: from times `[B, 1]` and states `[B, D]` to `[B, 1]`. It comes twice, in
/// the algebra of the states and in duals over plain arrays, in which its rate
/// is found: a function generic over the algebra is written twice by its name.
///
/// Right for first derivatives only: the rate's own derivatives are left out.
/// Where an event is only touched, `ġ = 0`, its time has no derivative, and the
/// result is not finite. A row that met no event is moved as if it had one.
///
/// # Panics
/// If shapes do not fit.
#[track_caller]
pub fn at_event<A: Algebra>(
    (times, state): (&[f64], &Tensor<A>),
    velocity: impl Fn(&[f64], &Tensor<A>) -> Tensor<A>,
    event: (
        impl Fn(&Tensor<A>, &Tensor<A>) -> Tensor<A>,
        impl Fn(&Tensor<Dual<A::Base>>, &Tensor<Dual<A::Base>>) -> Tensor<Dual<A::Base>>,
    ),
) -> AtEvent<A> {
    let t = state.lift(&[times.len(), 1], times);
    let v = velocity(times, state);
    let here = (t.stop(), state.stop());
    let along = (here.0.ones_like(), v.stop());
    let (_, rate) = jvp(|(t, y)| event.1(t, y), &here, &along);
    let delay = -(event.0(&t, state) / Tensor::constant(&rate)); // (EV.1)
    AtEvent {
        time: t + &delay,
        state: state + delay * v,
    }
}

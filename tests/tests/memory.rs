//! What reverse mode holds: a sweep gives back what it has used, a checkpoint
//! holds inputs only, and training holds the same after any number of steps.
//! Counted by the allocator, not believed.

use autograd::check::Program;
use autograd::{
    Adam, AdamConfig, Algebra, Cpu, Draw, Mlp, Optimiser, Primitive, Real, Tensor, TimeFeatures,
    Unary, Var, checkpoint, grad, value_and_grad,
};
use flowgrad_tests::counting::{Counting, counts, restart_peak};
use std::cell::RefCell;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

type Plain = Tensor<Cpu<f64>>;

/// Numbers in each array, and their bytes.
const COUNT: usize = 10_000;
const BYTES: isize = 8 * COUNT as isize;

thread_local! {
    static LOOKS: RefCell<Vec<isize>> = const { RefCell::new(Vec::new()) };
}

/// The identity, which looks at the live bytes when the sweep comes by.
#[derive(Clone, Debug)]
struct Look;
impl Primitive for Look {
    fn name(&self) -> &'static str {
        "look"
    }
    fn value<F: Real>(&self, x: &[Tensor<Cpu<F>>]) -> Tensor<Cpu<F>> {
        x[0].clone()
    }
    fn push<A: Algebra>(
        &self,
        _: &[Tensor<A>],
        _: &Tensor<A>,
        _: usize,
        v: Tensor<A>,
    ) -> Tensor<A> {
        v
    }
    fn pull<A: Algebra>(
        &self,
        _: &[Tensor<A>],
        _: &Tensor<A>,
        _: usize,
        w: Tensor<A>,
    ) -> Tensor<A> {
        LOOKS.with_borrow_mut(|looks| looks.push(counts().live));
        w
    }
}

/// `sin` over and over; each layer keeps one array for its derivative.
#[derive(Clone)]
struct Layers(usize);
impl Program for Layers {
    fn run<A: Algebra>(&self, x: &[Tensor<A>]) -> Tensor<A> {
        (0..self.0).fold(x[0].clone(), |h, _| h.sin())
    }
}

#[test]
fn a_sweep_gives_back_each_layer_it_has_used() {
    const LAYERS: usize = 40;
    LOOKS.with_borrow_mut(|looks| looks.reserve(LAYERS));
    let x = Plain::full(&[COUNT], 0.5);
    let before = counts().live;
    let slope = grad(
        |x| {
            let layer = |h: Tensor<Var<Cpu<f64>>>, _| {
                let h = Tensor::primitive(&Look, &[h]);
                h.sin()
            };
            (0..LAYERS).fold(x.clone(), layer).sum()
        },
        &x,
    );
    assert_eq!(slope.shape()[..], [COUNT]);
    let looks = LOOKS.take();
    assert_eq!(looks.len(), LAYERS);
    let full = LAYERS as isize * BYTES;
    assert!(looks[0] - before >= full - BYTES, "all layers were held");
    for pair in looks.windows(2) {
        // A layer's array and the few words of its maps; the cotangent lives
        // in one buffer all the way.
        let freed = pair[0] - pair[1];
        assert!((BYTES..BYTES + 1000).contains(&freed), "{pair:?}");
    }
    drop(slope);
    // The looks' own list is gone too.
    let left = counts().live - before;
    assert!(left <= 0, "{left} bytes are left");
}

/// The most that a derivative of 64 layers holds at once beyond what was there,
/// in arrays.
fn peak(parts: usize) -> f64 {
    const LAYERS: usize = 64;
    let x = Plain::full(&[COUNT], 0.5);
    restart_peak();
    let before = counts().live;
    let slope = grad(
        |x| {
            let layers = Layers(LAYERS / parts);
            let part = |h: Tensor<Var<Cpu<f64>>>, _| match parts {
                1 => layers.run(&[h]),
                _ => checkpoint(&layers, &[h]),
            };
            (0..parts).fold(x.clone(), part).sum()
        },
        &x,
    );
    let most = (counts().peak - before) as f64 / BYTES as f64;
    drop(slope);
    most
}

/// `s + 64/s` arrays in place of 64, and a few for what is being computed:
/// the cotangent, and one array under way in the sweep and in the rerun.
#[test]
fn a_checkpoint_holds_inputs_only() {
    let plain = peak(1);
    assert!((64.0..66.1).contains(&plain), "{plain}");
    for parts in [2, 4, 8, 16, 32] {
        let most = peak(parts);
        let arrays = (parts + 64 / parts) as f64;
        println!("{parts} parts: {most:.2} arrays of {plain:.2}, formula {arrays}");
        assert!(
            (arrays - 1.0..arrays + 2.1).contains(&most),
            "{parts}: {most}"
        );
    }
}

#[test]
fn ten_thousand_training_steps_hold_the_same_memory() {
    let draw = Draw::seed(1);
    let mut net = Mlp::<Cpu<f32>>::new(2, &[8, 8], 2, TimeFeatures::Plain, Unary::Silu, draw);
    let mut adam = Adam::new(&net, AdamConfig::default());
    let t = Tensor::<Cpu<f32>>::full(&[16, 1], 0.5);
    let x = Tensor::<Cpu<f32>>::full(&[16, 2], 0.25);
    let mut step = || {
        let (t, x) = (Tensor::constant(&t), Tensor::constant(&x));
        let loss = |net: &Mlp<Var<Cpu<f32>>>| (net.velocity(&t, &x) - 1.0).square().mean();
        let (loss, gradient) = value_and_grad(loss, &net);
        adam.step(&mut net, &gradient, 1e-3);
        loss.item()
    };
    let first = step();
    restart_peak();
    let early = counts();
    let second_peak = {
        step();
        counts().peak
    };
    let mut last = first;
    for _ in 0..10_000 {
        last = step();
    }
    assert!(last < 0.1 * first, "it learns: {first} to {last}");
    assert_eq!(counts().live, early.live, "live bytes");
    assert_eq!(counts().peak, second_peak, "peak bytes");
}

#[test]
fn three_million_nodes_leave_nothing() {
    let x = Plain::scalar(1.0);
    let before = counts().live;
    let slope = grad(
        |x| (0..3_000_000).fold(x.clone(), |h, _| h + 1e-9).square(),
        &x,
    );
    assert!(slope.item() > 2.0);
    drop(slope);
    assert_eq!(counts().live, before);
}

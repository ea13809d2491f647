//! Every operation, by enumeration, through the one checker.
//!
//! The pointwise functions come from the lists the formula sheet writes; the
//! linear maps from a `match` that does not compile when a map is added and
//! not listed here.

use autograd::check::{self, Program, Report, sample};
use autograd::{Algebra, Binary, Cpu, End, Index, Linear, Primitive, Real, Tensor, Unary, Windows};

type Plain = Tensor<Cpu<f64>>;

fn passes<P: Program>(name: &str, program: &P, at: &[Plain]) -> Report {
    match check::check(program, at) {
        Ok(report) => report,
        Err(failure) => panic!("{name}: {failure}"),
    }
}

struct Pointwise(Unary);
impl Program for Pointwise {
    fn run<A: Algebra>(&self, x: &[Tensor<A>]) -> Tensor<A> {
        x[0].unary(self.0)
    }
}

/// Verifies (AD.1), (AD.3), (AD.6), (AD.7), (AD.11).
#[test]
fn every_pointwise_function() {
    for &op in Unary::ALL {
        for shape in [&[2, 3][..], &[], &[0, 2]] {
            let report = passes(op.name(), &Pointwise(op), &[sample(shape, op.domain(), 1)]);
            println!("{:>10} {shape:?} {report:?}", op.name());
        }
    }
}

struct Pair(Binary);
impl Program for Pair {
    fn run<A: Algebra>(&self, x: &[Tensor<A>]) -> Tensor<A> {
        x[0].binary(self.0, &x[1])
    }
}

#[test]
fn every_function_of_two_numbers_with_broadcasting() {
    let shapes: [(&[usize], &[usize]); 6] = [
        (&[2, 3], &[2, 3]),
        (&[2, 3], &[3]),
        (&[2, 1], &[4, 1, 3]),
        (&[], &[2, 3]),
        (&[2, 3], &[1, 1]),
        (&[0, 3], &[1, 3]),
    ];
    for &op in Binary::ALL {
        for (a, b) in shapes {
            // Disjoint intervals: maximum and minimum are smooth there.
            let low = sample(a, (0.5, 1.0), 1);
            let high = sample(b, (1.5, 2.5), 2);
            passes(op.name(), &Pair(op), &[low.clone(), high.clone()]);
            passes(op.name(), &Pair(op), &[high, low]);
        }
    }
}

/// A linear map, applied through the public method that makes it.
struct Rearranged(Linear);
impl Program for Rearranged {
    fn run<A: Algebra>(&self, x: &[Tensor<A>]) -> Tensor<A> {
        let x = &x[0];
        match &self.0 {
            Linear::Reshape { to, .. } => x.reshape(to),
            Linear::Permute { axes } => {
                let axes: Vec<usize> = axes[..x.rank()].iter().map(|&a| a.into()).collect();
                x.permute(&axes)
            }
            Linear::Broadcast { to, .. } => x.broadcast_to(to),
            Linear::Sum { to, .. } if to.rank() == 0 => x.sum(),
            Linear::Sum { to, .. } => {
                let axis = (0..to.rank()).find(|&i| to[i] != x.size(i));
                x.sum_axis_keep(axis.expect("a sum changes an extent"))
            }
            Linear::Slice {
                axis, start, len, ..
            } => x.slice(*axis, *start, *len),
            Linear::Pad {
                axis,
                start,
                len,
                of,
            } => x.pad(*axis, *start, of - start - len),
            Linear::Gather { axis, index, .. } => x.index_select(*axis, index),
            Linear::ScatterAdd { axis, index, of } => x.index_add(*axis, index, *of),
            Linear::Unfold { axis, windows: w } => x.unfold(*axis, w.size, w.step, w.dilation),
            Linear::Fold { axis, windows: w } => x.fold(*axis, w.step, w.dilation, w.of),
            Linear::Diagonal { .. } => x.diagonal(),
            Linear::EmbedDiagonal { .. } => x.embed_diagonal(),
            Linear::Roll { axis, by, .. } => x.roll(*axis, *by as isize),
            Linear::Flip { axis } => x.flip(*axis),
            Linear::Cumsum {
                axis,
                from: End::First,
            } => x.cumsum(*axis),
            Linear::Cumsum { axis, .. } => x.flip(*axis).cumsum(*axis).flip(*axis),
            Linear::Scale(c) => *c * x,
            other => panic!("no check for {}: add one", other.name()),
        }
    }
}

fn linear_cases() -> Vec<(&'static [usize], Linear)> {
    use autograd::Shape;
    let s = Shape::new;
    let index = Index::new(vec![2, 0, 2, 1]);
    vec![
        (
            &[2, 3],
            Linear::Reshape {
                from: s(&[2, 3]),
                to: s(&[6]),
            },
        ),
        (
            &[2, 3],
            Linear::Permute {
                axes: [1, 0, 2, 3, 4, 5],
            },
        ),
        (
            &[2, 3, 4],
            Linear::Permute {
                axes: [2, 0, 1, 3, 4, 5],
            },
        ),
        (
            &[3],
            Linear::Broadcast {
                from: s(&[3]),
                to: s(&[2, 3]),
            },
        ),
        (
            &[2, 1, 3],
            Linear::Broadcast {
                from: s(&[2, 1, 3]),
                to: s(&[2, 4, 3]),
            },
        ),
        (
            &[],
            Linear::Broadcast {
                from: s(&[]),
                to: s(&[2, 3]),
            },
        ),
        (
            &[2, 3],
            Linear::Sum {
                from: s(&[2, 3]),
                to: s(&[]),
            },
        ),
        (
            &[2, 3, 4],
            Linear::Sum {
                from: s(&[2, 3, 4]),
                to: s(&[2, 1, 4]),
            },
        ),
        (
            &[2, 3],
            Linear::Sum {
                from: s(&[2, 3]),
                to: s(&[2, 1]),
            },
        ),
        (
            &[2, 3],
            Linear::Sum {
                from: s(&[2, 3]),
                to: s(&[1, 3]),
            },
        ),
        (
            &[2, 5, 3],
            Linear::Slice {
                axis: 1,
                start: 1,
                len: 3,
                of: 5,
            },
        ),
        (
            &[2, 2, 3],
            Linear::Pad {
                axis: 1,
                start: 1,
                len: 2,
                of: 5,
            },
        ),
        (
            &[3, 2],
            Linear::Gather {
                axis: 0,
                index: index.clone(),
                of: 3,
            },
        ),
        (
            &[2, 3, 5],
            Linear::Gather {
                axis: 1,
                index: index.clone(),
                of: 3,
            },
        ),
        (
            &[5, 3],
            Linear::Gather {
                axis: 1,
                index: index.clone(),
                of: 3,
            },
        ),
        (
            &[4, 2],
            Linear::ScatterAdd {
                axis: 0,
                index: index.clone(),
                of: 3,
            },
        ),
        (
            &[2, 4, 5],
            Linear::ScatterAdd {
                axis: 1,
                index,
                of: 3,
            },
        ),
        // Overlapping windows with gaps inside, and a place left at the end.
        (
            &[2, 8, 3],
            Linear::Unfold {
                axis: 1,
                windows: windows(8),
            },
        ),
        (
            &[8],
            Linear::Unfold {
                axis: 0,
                windows: windows(8),
            },
        ),
        (
            &[2, 2, 3, 5],
            Linear::Fold {
                axis: 1,
                windows: windows(8),
            },
        ),
        (&[2, 3, 4], Linear::Diagonal { matrix: [3, 4] }),
        (&[4, 3], Linear::Diagonal { matrix: [4, 3] }),
        (&[2, 3], Linear::EmbedDiagonal { matrix: [3, 3] }),
        (
            &[2, 5, 3],
            Linear::Roll {
                axis: 1,
                by: 2,
                of: 5,
            },
        ),
        (&[2, 3, 2], Linear::Flip { axis: 1 }),
        (
            &[2, 3, 2],
            Linear::Cumsum {
                axis: 1,
                from: End::First,
            },
        ),
        (
            &[4],
            Linear::Cumsum {
                axis: 0,
                from: End::Last,
            },
        ),
        (&[2, 3], Linear::Scale(-1.7)),
    ]
}

/// Places 0, 2, 4 and 3, 5, 7 of eight.
fn windows(of: usize) -> Windows {
    Windows {
        size: 3,
        step: 3,
        dilation: 2,
        of,
    }
}

/// Verifies (AD.2).
#[test]
fn every_linear_map_and_its_transpose() {
    for (shape, map) in linear_cases() {
        let x = sample(shape, (-1.0, 1.0), 3);
        passes(
            map.name(),
            &Rearranged(map.clone()),
            std::slice::from_ref(&x),
        );
        // The set is closed: the transpose of the transpose is the map again.
        let out = map.output(&x.shape());
        let back = map.transpose();
        assert_eq!(back.output(&out), x.shape(), "{}", map.name());
        let again = Rearranged(back.transpose()).run(std::slice::from_ref(&x));
        assert_eq!(again.to_vec(), Rearranged(map).run(&[x]).to_vec());
    }
}

struct Concat;
impl Program for Concat {
    fn run<A: Algebra>(&self, x: &[Tensor<A>]) -> Tensor<A> {
        Tensor::concat(&[&x[0], &x[1], &x[0]], 1)
    }
}

struct Matmul;
impl Program for Matmul {
    fn run<A: Algebra>(&self, x: &[Tensor<A>]) -> Tensor<A> {
        // Reverse over reverse meets every combination of transposes.
        x[0].matmul(&x[1]).matmul(&x[1].t())
    }
}

struct Dense(Option<Unary>);
impl Program for Dense {
    fn run<A: Algebra>(&self, x: &[Tensor<A>]) -> Tensor<A> {
        x[0].dense(&x[1], &x[2], self.0)
    }
}

/// The same layer by composition, which `Dense` must equal.
struct DenseComposed(Option<Unary>);
impl Program for DenseComposed {
    fn run<A: Algebra>(&self, x: &[Tensor<A>]) -> Tensor<A> {
        let z = x[0].matmul(&x[1]) + &x[2];
        self.0.map_or_else(|| z.clone(), |f| z.unary(f))
    }
}

/// Verifies (AD.4), (AD.5).
#[test]
fn products_layers_and_concatenation() {
    let a = sample(&[2, 3], (-1.0, 1.0), 1);
    let b = sample(&[3, 4], (-1.0, 1.0), 2);
    let bias = sample(&[4], (-1.0, 1.0), 3);
    passes("matmul", &Matmul, &[a.clone(), b.clone()]);
    passes(
        "concat",
        &Concat,
        &[a.clone(), sample(&[2, 5], (-1.0, 1.0), 4)],
    );
    for f in [None, Some(Unary::Silu), Some(Unary::Tanh)] {
        let at = [a.clone(), b.clone(), bias.clone()];
        passes("dense", &Dense(f), &at);
        passes("dense by composition", &DenseComposed(f), &at);
        let fused = autograd::grad(|x: &Vec<_>| Dense(f).run(x).square().sum(), &at.to_vec());
        let plain = autograd::grad(
            |x: &Vec<_>| DenseComposed(f).run(x).square().sum(),
            &at.to_vec(),
        );
        for (fused, plain) in fused.iter().zip(&plain) {
            for (x, y) in fused.as_slice().iter().zip(plain.as_slice()) {
                // The same products in another order: 24 terms of size < 4.
                assert!(
                    (x - y).abs() <= 24.0 * 4.0 * f64::EPSILON,
                    "{x} against {y}"
                );
            }
        }
    }
}

struct Composite(&'static str);
impl Program for Composite {
    fn run<A: Algebra>(&self, x: &[Tensor<A>]) -> Tensor<A> {
        let x = &x[0];
        match self.0 {
            "logsumexp" => x.logsumexp(1),
            "softmax" => x.softmax(1),
            "mean" => x.mean(),
            "mean_axis" => x.mean_axis(0),
            "powi -2" => x.powi(-2),
            "1 - x/3 + 2/x" => 1.0 - x / 3.0 + 2.0 / x,
            "select" => {
                let mask = x.stop().lt(&x.stop().full_like(&x.shape(), 1.2));
                Tensor::select(&mask, &x.square(), &x.exp())
            }
            "log_softmax" => x.log_softmax(1),
            "var" => x.var(1.0),
            "var_axis" => x.var_axis(1, 0.0),
            "max" => x.max(),
            "max_axis" => x.max_axis(1),
            "min" => x.min(),
            "min_axis" => x.min_axis(0),
            "prod" => x.prod(),
            "prod_axis" => x.prod_axis(1),
            "norm" => x.norm(),
            "norm_axis" => x.norm_axis(0),
            "stack" => Tensor::stack(&[x, &(2.0 * x), x], 1),
            "split" => {
                let parts = x.split(1, &[1, 2]);
                &parts[0] * &parts[1]
            }
            "take_along_axis" => x.take_along_axis(1, &Index::new(vec![2, 0, 0, 1]), 2),
            "pow" => x.pow(&(1.0 - x)),
            "stacked product" => {
                // Stacks on both sides, on the left only, and broadcast.
                let a = x.reshape(&[2, 3, 1]);
                let b = x.reshape(&[2, 1, 3]);
                let c = a.matmul(&b); // [2, 3, 3]
                let d = c.matmul(&x.t()); // [2, 3, 2]
                x.matmul(&d)
                    .unsqueeze(1)
                    .matmul(&c.unsqueeze(0).slice(2, 0, 2))
            }
            other => panic!("no composite {other}"),
        }
    }
}

#[test]
fn composites() {
    for name in [
        "logsumexp",
        "softmax",
        "mean",
        "mean_axis",
        "powi -2",
        "1 - x/3 + 2/x",
        "log_softmax",
        "var",
        "var_axis",
        "max",
        "max_axis",
        "min",
        "min_axis",
        "prod",
        "prod_axis",
        "norm",
        "norm_axis",
        "stack",
        "split",
        "take_along_axis",
        "pow",
        "stacked product",
    ] {
        passes(name, &Composite(name), &[sample(&[2, 3], (0.5, 2.0), 5)]);
    }
    // Kept away from the switch at 1.2 by more than the largest step.
    let x = Tensor::new(&[4], vec![0.8, 1.6, 0.9, 1.4]);
    passes("select", &Composite("select"), &[x]);
}

/// A rule that is wrong by a given relative error in one direction.
#[derive(Clone, Debug)]
struct Planted {
    push_error: f64,
    pull_error: f64,
}
impl Primitive for Planted {
    fn name(&self) -> &'static str {
        "planted"
    }
    fn value<F: Real>(&self, x: &[Tensor<Cpu<F>>]) -> Tensor<Cpu<F>> {
        x[0].sin()
    }
    fn push<A: Algebra>(
        &self,
        x: &[Tensor<A>],
        _: &Tensor<A>,
        _: usize,
        v: Tensor<A>,
    ) -> Tensor<A> {
        (1.0 + self.push_error) * x[0].cos() * v
    }
    fn pull<A: Algebra>(
        &self,
        x: &[Tensor<A>],
        _: &Tensor<A>,
        _: usize,
        w: Tensor<A>,
    ) -> Tensor<A> {
        (1.0 + self.pull_error) * x[0].cos() * w
    }
}
impl Program for Planted {
    fn run<A: Algebra>(&self, x: &[Tensor<A>]) -> Tensor<A> {
        Tensor::primitive(self, x)
    }
}

#[test]
fn the_checker_rejects_small_errors_and_accepts_the_truth() {
    let x = [sample(&[2, 3], (-1.0, 1.0), 1)];
    let at = |push_error, pull_error| {
        check::check(
            &Planted {
                push_error,
                pull_error,
            },
            &x,
        )
    };
    let report = at(0.0, 0.0).expect("the right rule passes");
    println!("{report:?}");
    // Both wrong alike: only the differences can tell.
    assert_eq!(
        at(1e-10, 1e-10).unwrap_err().law,
        "jvp equals extrapolated differences"
    );
    // One wrong: the transpose law tells, and sooner.
    assert_eq!(
        at(0.0, 1e-12).unwrap_err().law,
        "jvp and vjp are transposes"
    );
    assert!(at(f64::NAN, f64::NAN).is_err(), "NaN must fail every law");
}

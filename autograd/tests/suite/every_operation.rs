//! Every operation, by enumeration, through the one checker.
//!
//! The [catalogue] lists them; what it lacks does not build, or fails the test
//! of the package `tests` that reads the sources.

use autograd::check::catalogue::{self, Class, entries, entry_of};
use autograd::check::references;
use autograd::check::sensitivity::measure;
use autograd::check::{self, Program, Report, sample};
use autograd::{Algebra, Cpu, End, Index, Linear, Primitive, Real, Tensor, Unary, Windows};
use std::collections::BTreeSet;

type Plain = Tensor<Cpu<f64>>;

fn passes<P: Program>(name: &str, program: &P, at: &[Plain]) -> Report {
    match check::check(program, at) {
        Ok(report) => report,
        Err(failure) => panic!("{name}: {failure}"),
    }
}

/// Verifies (AD.1), (AD.2), (AD.3), (AD.4), (AD.5), (AD.6), (AD.7).
#[test]
fn every_operation_at_every_point() {
    for entry in entries() {
        for at in &entry.points {
            let shapes: Vec<_> = at.iter().map(Tensor::shape).collect();
            let name = format!("{} at {shapes:?}", entry.name);
            let report = passes(&name, &entry.program, at);
            println!("{name}: {report:?}");
        }
    }
}

/// The aim is 10⁻⁹; a fault in one row is diluted by the row's share in the
/// largest entry of a column, and one in one rule of many by the rule's.
#[test]
fn every_fault_in_a_shipped_rule_is_rejected() {
    for entry in entries() {
        let measured = measure(&entry.program, &entry.points[0]);
        assert!(measured.holds(), "{}: {measured:?}", entry.name);
        match measured.hardest {
            Some(fault) => {
                println!("{}: {:.0e} {fault:?}", entry.name, fault.relative);
                assert!(fault.relative <= 1e-9, "{}: {fault:?}", entry.name);
            }
            // Steps have no rule that could be wrong.
            None => {
                assert_eq!(entry.class, Class::Pointwise, "{}", entry.name);
                assert!(measured.jvp_error == 0.0 && measured.vjp_error == 0.0);
            }
        }
    }
}

#[test]
fn every_value_is_near_its_reference() {
    let all = references::all();
    let entries = entries();
    for entry in &entries {
        let Some(reference) = all.iter().find(|r| r.name == entry.name) else {
            panic!("{}: add a line to generate.py", entry.name);
        };
        let each = entry.class == Class::Pointwise;
        let double = reference.ulps::<f64, _>(&entry.program, each);
        let single = reference.ulps::<f32, _>(&entry.program, each);
        println!("{}: {double:.3} ulp in f64, {single:.3} in f32", entry.name);
        let allowed = entry.allowed_ulps();
        let near = double <= allowed.0 && single <= allowed.1;
        assert!(near, "{}: {double} and {single} ulp", entry.name);
    }
    for reference in &all {
        let known = entries.iter().any(|e| e.name == reference.name);
        assert!(known, "{}: a reference of no entry", reference.name);
    }
}

#[test]
fn names_are_distinct_and_every_linear_map_has_an_entry() {
    let all = entries();
    let names: BTreeSet<&str> = all.iter().map(|e| e.name).collect();
    assert_eq!(names.len(), all.len());
    for (_, map) in linear_cases() {
        assert!(names.contains(entry_of(&map)), "{}", map.name());
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

/// Verifies (AD.5).
#[test]
fn the_fused_layer_is_its_composition() {
    let a = sample(&[2, 3], (-1.0, 1.0), 1);
    let b = sample(&[3, 4], (-1.0, 1.0), 2);
    let bias = sample(&[4], (-1.0, 1.0), 3);
    for f in [None, Some(Unary::Silu), Some(Unary::Tanh)] {
        let at = [a.clone(), b.clone(), bias.clone()];
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
        at(1e-11, 1e-11).unwrap_err().law,
        "jvp equals extrapolated differences"
    );
    // One wrong: the transpose law tells, and sooner.
    assert_eq!(
        at(0.0, 1e-12).unwrap_err().law,
        "jvp and vjp are transposes"
    );
    assert!(at(f64::NAN, f64::NAN).is_err(), "NaN must fail every law");
}

/// The same with the rules that are shipped.
#[test]
fn the_checker_rejects_small_errors_in_the_shipped_rules() {
    use check::{Direction, Fault, with_fault};
    let x = [sample(&[2, 3], (-1.0, 1.0), 1)];
    let at = |relative, direction, row| {
        let rule = None;
        #[rustfmt::skip]
        let fault = Fault { relative, direction, row, rule };
        with_fault(fault, || {
            check::check(&catalogue::Case::Unary(Unary::Sin), &x)
        })
    };
    at(0.0, Direction::Alike, None).expect("the right rule passes");
    let law = |relative, direction| at(relative, direction, None).unwrap_err().law;
    assert_eq!(
        law(1e-11, Direction::Alike),
        "jvp equals extrapolated differences"
    );
    assert_eq!(law(1e-12, Direction::Push), "jvp and vjp are transposes");
    assert_eq!(law(1e-12, Direction::Pull), "jvp and vjp are transposes");
    // One row of six has a part of the sums only.
    for row in [Some(0), Some(4)] {
        for direction in Direction::ALL {
            assert!(at(1e-10, direction, row).is_err(), "{direction:?} {row:?}");
            assert!(at(f64::NAN, direction, row).is_err());
        }
    }
}

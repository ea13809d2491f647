//! Triangles, triangular systems and Cholesky: against substitution written
//! out, against the same root composed of elementary operations, and against
//! determinants by cofactors.

use super::{
    Plain, agree, close, direction, distance, double, held, holds_in_f32, passes, plain, size,
};
use crate::panic_text;
use autograd::check::{Program, check, sample};
use autograd::{
    Algebra, Cpu, Primitive, Real, Tensor, Transpose, Triangle, Var, grad, jvp, trap_non_finite,
    vjp,
};

/// Two matrices 3×3, not symmetric, with a symmetric part of eigenvalues
/// between 1 and 6.
fn matrices() -> Plain {
    sample(&[2, 3, 3], (-1.0, 1.0), 1) + plain(&[3, 3], &[3.0, 0., 0., 0., 3.5, 0., 0., 0., 4.0])
}

fn t<A: Algebra>(x: &Tensor<A>) -> Tensor<A> {
    x.swap_axes(x.rank() - 2, x.rank() - 1)
}

/// The element at row `i`, column `j` of each matrix, `[…, 1, 1]`.
fn at<A: Algebra>(x: &Tensor<A>, i: usize, j: usize) -> Tensor<A> {
    let rank = x.rank();
    x.slice(rank - 2, i, 1).slice(rank - 1, j, 1)
}

/// Matrices put together from such elements.
fn assembled<A: Algebra>(rows: &[Vec<Tensor<A>>]) -> Tensor<A> {
    let axis = rows[0][0].rank() - 1;
    let rows: Vec<_> = rows
        .iter()
        .map(|row| Tensor::concat(&row.iter().collect::<Vec<_>>(), axis))
        .collect();
    Tensor::concat(&rows.iter().collect::<Vec<_>>(), axis - 1)
}

/// What the library offers, by name, of a matrix and right-hand sides.
struct Op(&'static str);
impl Program for Op {
    fn run<A: Algebra>(&self, x: &[Tensor<A>]) -> Tensor<A> {
        match self.0 {
            "tril" => x[0].tril(-1),
            "triu" => x[0].triu(1),
            "cholesky" => x[0].cholesky(),
            "logdet" => x[0].logdet(),
            "solve_spd" => x[0].solve_spd(&x[1]),
            // A wrong twin: the derivative through the factor is lost.
            "solve_spd, factor held" => held(&x[0]).solve_spd(&x[1]),
            // A wrong twin: the factor 2 forgotten.
            "logdet, half" => x[0].cholesky().diagonal().ln().sum_axis(1),
            other => panic!("no operation {other}"),
        }
    }
}

struct Solve(Triangle, Transpose);
impl Program for Solve {
    fn run<A: Algebra>(&self, x: &[Tensor<A>]) -> Tensor<A> {
        x[0].solve_triangular(&x[1], self.0, self.1)
    }
}

const SYSTEMS: [Solve; 4] = [
    Solve(Triangle::Lower, Transpose::No),
    Solve(Triangle::Lower, Transpose::Yes),
    Solve(Triangle::Upper, Transpose::No),
    Solve(Triangle::Upper, Transpose::Yes),
];

/// Substitution, composed of elementary operations.
struct SolveComposed(Triangle, Transpose);
impl Program for SolveComposed {
    fn run<A: Algebra>(&self, x: &[Tensor<A>]) -> Tensor<A> {
        let (a, b) = (&x[0], &x[1]);
        let lower = (self.0 == Triangle::Lower) == (self.1 == Transpose::No);
        let entry = |i, k| match self.1 {
            Transpose::No => at(a, i, k),
            Transpose::Yes => at(a, k, i),
        };
        let rank = b.rank();
        let mut rows: Vec<Option<Tensor<A>>> = vec![None; 3];
        for step in 0..3 {
            let i = if lower { step } else { 2 - step };
            let mut row = b.slice(rank - 2, i, 1);
            for (k, other) in rows.iter().enumerate() {
                if let Some(other) = other {
                    row = row - entry(i, k) * other;
                }
            }
            rows[i] = Some(row / entry(i, i));
        }
        let rows: Vec<_> = rows.iter().flatten().collect();
        Tensor::concat(&rows, rank - 2)
    }
}

/// The root of 3×3 matrices, composed of elementary operations.
struct CholeskyComposed;
impl Program for CholeskyComposed {
    fn run<A: Algebra>(&self, x: &[Tensor<A>]) -> Tensor<A> {
        let a = 0.5 * (&x[0] + t(&x[0]));
        let zero = at(&a, 0, 0).zeros_like();
        let l00 = at(&a, 0, 0).sqrt();
        let l10 = at(&a, 1, 0) / &l00;
        let l20 = at(&a, 2, 0) / &l00;
        let l11 = (at(&a, 1, 1) - l10.square()).sqrt();
        let l21 = (at(&a, 2, 1) - &l20 * &l10) / &l11;
        let l22 = (at(&a, 2, 2) - l20.square() - l21.square()).sqrt();
        assembled(&[
            vec![l00, zero.clone(), zero.clone()],
            vec![l10, l11, zero],
            vec![l20, l21, l22],
        ])
    }
}

/// Results of size 1 to 10 after some two hundred operations in each way.
const ALLOWED: f64 = 200.0 * f64::EPSILON;

/// Verifies (AD.47).
#[test]
fn triangular_systems_are_substitution_in_value_and_every_derivative() {
    let a = matrices();
    // As many right-hand sides as rows would hide a transposition.
    for b in [&[2, 3, 4][..], &[3, 2], &[4, 1, 3, 1]] {
        let b = sample(b, (-1.0, 1.0), 2);
        for Solve(triangle, transpose) in SYSTEMS {
            let at = [a.clone(), b.clone()];
            let name = format!("{triangle:?} {transpose:?} {}", b.shape());
            let solve = Solve(triangle, transpose);
            let stack = a.shape()[..1].to_vec();
            let stack = if b.rank() == 4 { vec![4, 2] } else { stack };
            let y = solve.run(&at);
            let columns = b.shape()[b.rank() - 1];
            assert_eq!(
                y.shape()[..],
                [&stack[..], &[3, columns]].concat(),
                "{name}"
            );
            passes(&name, &solve, &at);
            if b.rank() < 4 {
                let full = b.broadcast_to(&y.shape());
                let at = [a.clone(), full];
                agree(&solve, &SolveComposed(triangle, transpose), &at, ALLOWED);
            }
            holds_in_f32(&name, &solve, &at);
        }
    }
}

/// Verifies (AD.48).
#[test]
fn cholesky_is_its_composition_in_value_and_every_derivative() {
    let a = matrices();
    let one = std::slice::from_ref(&a);
    passes("cholesky", &Op("cholesky"), one);
    agree(&Op("cholesky"), &CholeskyComposed, one, ALLOWED);
    let root = a.cholesky();
    let symmetric = 0.5 * (&a + t(&a));
    let product = root.matmul(&t(&root));
    close("L Lᵀ", &product, symmetric.as_slice(), 20.0 * f64::EPSILON);
    assert_eq!(root.to_vec(), root.tril(0).to_vec(), "lower");
    holds_in_f32("cholesky", &Op("cholesky"), one);
    // Rank 2 and larger stacks.
    for shape in [&[1, 1][..], &[2, 2], &[2, 1, 4, 4]] {
        let n = shape[shape.len() - 1];
        let one = Plain::full(&[n], 3.0 + n as f64).embed_diagonal();
        let a = sample(shape, (-1.0, 1.0), 5) + one;
        passes("cholesky", &Op("cholesky"), &[a]);
    }
}

/// The determinant and the inverse of a 3×3 matrix by cofactors.
fn cofactors(a: &[f64]) -> (f64, Vec<f64>) {
    let minor = |i: usize, j: usize| {
        let (r, c) = ([(i + 1) % 3, (i + 2) % 3], [(j + 1) % 3, (j + 2) % 3]);
        a[3 * r[0] + c[0]] * a[3 * r[1] + c[1]] - a[3 * r[0] + c[1]] * a[3 * r[1] + c[0]]
    };
    let det = (0..3).map(|j| a[j] * minor(0, j)).sum();
    let inverse = (0..9).map(|p| minor(p % 3, p / 3) / det).collect();
    (det, inverse)
}

/// Verifies (AD.49).
#[test]
fn logdet_and_its_gradient_are_those_of_cofactors() {
    let a = matrices();
    let symmetric = 0.5 * (&a + t(&a));
    let y = a.logdet();
    assert_eq!(y.shape()[..], [2]);
    let g = grad(|a| a.logdet().sum(), &a);
    let (values, inverses): (Vec<_>, Vec<_>) =
        symmetric.as_slice().chunks(9).map(cofactors).unzip();
    let logs: Vec<f64> = values.iter().map(|d| d.ln()).collect();
    // Thirty operations on numbers below 100 relative to results above 1.
    close("logdet", &y, &logs, 30.0 * f64::EPSILON);
    close("gradient", &g, &inverses.concat(), 30.0 * f64::EPSILON);
    assert_eq!(g.to_vec().len(), 18);
    let mirrored = t(&g);
    close("symmetric", &g, mirrored.as_slice(), 4.0 * f64::EPSILON);
    passes("logdet", &Op("logdet"), std::slice::from_ref(&a));
    holds_in_f32("logdet", &Op("logdet"), std::slice::from_ref(&a));
    // A determinant of 10⁻⁴⁰⁰ is 0, its logarithm is not.
    let tiny = Plain::full(&[40], 1e-10).embed_diagonal();
    let expected = 400.0 * 0.1f64.ln();
    close(
        "tiny",
        &tiny.logdet(),
        &[expected],
        1e3 * 41.0 * f64::EPSILON,
    );
}

#[test]
fn solve_spd_solves_and_passes_the_checker() {
    let a = matrices();
    let symmetric = 0.5 * (&a + t(&a));
    for shape in [&[2, 3, 4][..], &[3, 2], &[4, 1, 3, 1]] {
        let b = sample(shape, (-1.0, 1.0), 2);
        let both = [a.clone(), b.clone()];
        let x = Op("solve_spd").run(&both);
        let found = symmetric.matmul(&x);
        let expected = b.broadcast_to(&found.shape());
        close("A X", &found, expected.as_slice(), 50.0 * f64::EPSILON);
        passes("solve_spd", &Op("solve_spd"), &both);
        holds_in_f32("solve_spd", &Op("solve_spd"), &both);
    }
    let inverse = symmetric.solve_spd(&Plain::full(&[3], 1.0).embed_diagonal());
    let expected: Vec<f64> = symmetric
        .as_slice()
        .chunks(9)
        .flat_map(|a| cofactors(a).1)
        .collect();
    close("inverse", &inverse, &expected, 50.0 * f64::EPSILON);
}

/// Rules with a mistake, or with none.
#[derive(Clone, Debug)]
struct Twin(&'static str);

fn lower<A: Algebra>(a: &Tensor<A>, b: &Tensor<A>, transpose: Transpose) -> Tensor<A> {
    a.solve_triangular(b, Triangle::Lower, transpose)
}

impl Twin {
    fn half<A: Algebra>(&self, x: &Tensor<A>) -> Tensor<A> {
        if self.0 == "diagonal not halved" {
            return x.tril(0);
        }
        0.5 * (x.tril(0) + x.tril(-1))
    }

    fn pull_root<A: Algebra>(&self, l: &Tensor<A>, w: &Tensor<A>) -> Tensor<A> {
        let inside = if self.0 == "pull: L for its transpose" {
            self.half(&l.matmul(w))
        } else {
            self.half(&t(l).matmul(w))
        };
        let half = lower(l, &inside, Transpose::Yes);
        match self.0 {
            "pull: sign" => -lower(l, &t(&half), Transpose::Yes),
            "pull: the second system not transposed" => lower(l, &t(&half), Transpose::No),
            _ => lower(l, &t(&half), Transpose::Yes),
        }
    }
}

impl Primitive for Twin {
    fn name(&self) -> &'static str {
        "twin"
    }
    fn value<F: Real>(&self, x: &[Tensor<Cpu<F>>]) -> Tensor<Cpu<F>> {
        x[0].cholesky()
    }
    fn push<A: Algebra>(
        &self,
        _: &[Tensor<A>],
        l: &Tensor<A>,
        _: usize,
        v: Tensor<A>,
    ) -> Tensor<A> {
        let half = lower(l, &v, Transpose::No);
        let both = match self.0 {
            "push: one system only" => half,
            "push: not transposed" => lower(l, &half, Transpose::No),
            _ => lower(l, &t(&half), Transpose::No),
        };
        let error = if self.0 == "both: 1e-10" { 1e-10 } else { 0.0 };
        (1.0 + error) * l.matmul(&self.half(&both))
    }
    fn pull<A: Algebra>(
        &self,
        _: &[Tensor<A>],
        l: &Tensor<A>,
        _: usize,
        w: Tensor<A>,
    ) -> Tensor<A> {
        let error = if self.0 == "both: 1e-10" { 1e-10 } else { 0.0 };
        (1.0 + error) * self.pull_root(l, &w)
    }
}

impl Program for Twin {
    fn run<A: Algebra>(&self, x: &[Tensor<A>]) -> Tensor<A> {
        Tensor::primitive(self, &[0.5 * (&x[0] + t(&x[0]))])
    }
}

/// A triangular system with a mistake, or with none.
#[derive(Clone, Debug)]
struct SolveTwin(&'static str);

impl Primitive for SolveTwin {
    fn name(&self) -> &'static str {
        "twin"
    }
    fn value<F: Real>(&self, x: &[Tensor<Cpu<F>>]) -> Tensor<Cpu<F>> {
        lower(&x[0], &x[1], Transpose::No)
    }
    fn push<A: Algebra>(
        &self,
        x: &[Tensor<A>],
        y: &Tensor<A>,
        input: usize,
        v: Tensor<A>,
    ) -> Tensor<A> {
        if input == 1 {
            return lower(&x[0], &v, Transpose::No);
        }
        let v = if self.0 == "all of the matrix" {
            v
        } else {
            v.tril(0)
        };
        let moved = lower(&x[0], &v.matmul(y), Transpose::No);
        if self.0 == "sign" { moved } else { -moved }
    }
    fn pull<A: Algebra>(
        &self,
        x: &[Tensor<A>],
        y: &Tensor<A>,
        input: usize,
        w: Tensor<A>,
    ) -> Tensor<A> {
        let transpose = if self.0 == "not transposed" {
            Transpose::No
        } else {
            Transpose::Yes
        };
        let b_bar = lower(&x[0], &w, transpose);
        if input == 1 {
            return b_bar;
        }
        let outer = if self.0 == "outer product transposed" {
            y.matmul(&t(&b_bar))
        } else {
            b_bar.matmul(&t(y))
        };
        match self.0 {
            "all of the matrix" => -outer,
            "sign" => outer.tril(0),
            _ => -outer.tril(0),
        }
    }
}

impl Program for SolveTwin {
    fn run<A: Algebra>(&self, x: &[Tensor<A>]) -> Tensor<A> {
        Tensor::primitive(self, x)
    }
}

#[test]
fn wrong_twins_are_rejected() {
    let a = [matrices()];
    passes("the right twin", &Twin("none"), &a);
    for mistake in [
        "diagonal not halved",
        "push: one system only",
        "push: not transposed",
        "pull: L for its transpose",
        "pull: sign",
        "pull: the second system not transposed",
        "both: 1e-10",
    ] {
        assert!(check(&Twin(mistake), &a).is_err(), "{mistake} passes");
    }
    let system = [matrices(), sample(&[2, 3, 4], (-1.0, 1.0), 2)];
    passes("the right twin", &SolveTwin("none"), &system);
    for mistake in [
        "all of the matrix",
        "sign",
        "not transposed",
        "outer product transposed",
    ] {
        assert!(check(&SolveTwin(mistake), &system).is_err(), "{mistake}");
    }
    assert_eq!(
        check(&Op("solve_spd, factor held"), &system)
            .unwrap_err()
            .law,
        "jvp equals extrapolated differences"
    );
    let d = distance(
        a[0].logdet().as_slice(),
        Op("logdet, half").run(&a).as_slice(),
    );
    assert!(d > 1e-3, "the factor 2 matters");
}

#[test]
fn triangles_keep_what_they_name() {
    let x = plain(&[2, 3], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    assert_eq!(x.tril(0).to_vec(), [1.0, 0.0, 0.0, 4.0, 5.0, 0.0]);
    assert_eq!(x.triu(0).to_vec(), [1.0, 2.0, 3.0, 0.0, 5.0, 6.0]);
    assert_eq!(x.tril(1).to_vec(), [1.0, 2.0, 0.0, 4.0, 5.0, 6.0]);
    assert_eq!(x.triu(1).to_vec(), [0.0, 2.0, 3.0, 0.0, 0.0, 6.0]);
    assert_eq!(x.tril(-2).to_vec(), [0.0; 6]);
    assert_eq!(x.triu(-9).to_vec(), x.to_vec());
    let stack = sample(&[2, 3, 4], (-1.0, 1.0), 1);
    passes("tril", &Op("tril"), std::slice::from_ref(&stack));
    passes("triu", &Op("triu"), &[stack]);
    // What is cut off is left out, in the value and in both derivatives.
    let bad = plain(&[2, 2], &[1.0, f64::INFINITY, 2.0, 3.0]);
    assert_eq!(bad.tril(0).to_vec(), [1.0, 0.0, 2.0, 3.0]);
    let (_, tangent) = jvp(|x| x.tril(0), &bad, &bad);
    assert_eq!(tangent.to_vec(), [1.0, 0.0, 2.0, 3.0]);
    let (_, cotangent) = vjp(|x: &Tensor<Var<Cpu<f64>>>| x.tril(0), &bad, &bad);
    assert_eq!(cotangent.to_vec(), [1.0, 0.0, 2.0, 3.0]);
}

/// Only the named triangle is read, and only it has a slope.
#[test]
fn the_other_triangle_is_neither_read_nor_moved() {
    let nan = f64::NAN;
    let lower = plain(&[2, 2], &[2.0, nan, 1.0, 4.0]);
    let upper = plain(&[2, 2], &[2.0, 1.0, nan, 4.0]);
    let b = plain(&[2, 1], &[2.0, 9.0]);
    let cases = [
        (&lower, Triangle::Lower, Transpose::No, [1.0, 2.0]),
        (&lower, Triangle::Lower, Transpose::Yes, [-0.125, 2.25]),
        (&upper, Triangle::Upper, Transpose::No, [-0.125, 2.25]),
        (&upper, Triangle::Upper, Transpose::Yes, [1.0, 2.0]),
    ];
    for (a, triangle, transpose, expected) in cases {
        let x = a.solve_triangular(&b, triangle, transpose);
        assert_eq!(x.to_vec(), expected, "{triangle:?} {transpose:?}");
        let g = grad(
            |a: &Tensor<Var<Cpu<f64>>>| {
                let b = Tensor::constant(&b);
                a.solve_triangular(&b, triangle, transpose).sum()
            },
            a,
        );
        assert!(g.all_finite(), "{triangle:?} {transpose:?}");
        let other = if triangle == Triangle::Lower { 1 } else { 2 };
        assert_eq!(g.to_vec()[other], 0.0);
    }
    // Cholesky reads the symmetric part: what is antisymmetric has no effect.
    let a = matrices();
    let twist = &a - t(&a);
    let (_, still) = jvp(|a| a.cholesky(), &a, &twist);
    close("still", &still, &[0.0; 18], 10.0 * f64::EPSILON);
    // One triangle mirrored, as the documentation advises.
    let mirrored = |a: &Plain| a.tril(0) + t(&a.tril(-1));
    let nan = plain(&[2, 2], &[4.0, f64::NAN, 2.0, 10.0]);
    assert_eq!(mirrored(&nan).cholesky().to_vec(), [2.0, 0.0, 1.0, 3.0]);
}

/// Above its diagonal the root is 0 whatever the matrix: a cotangent there, as
/// the infinite one of `ln 0`, is left out and not multiplied by 0.
#[test]
fn a_cotangent_above_the_diagonal_is_left_out() {
    let a = matrices();
    let w = direction(&a, 0.9);
    let (_, expected) = vjp(|a: &Tensor<Var<Cpu<f64>>>| a.cholesky(), &a, &w.tril(0));
    let w = w.tril(0) + Plain::full(&[3, 3], f64::INFINITY).triu(1);
    let (_, found) = vjp(|a: &Tensor<Var<Cpu<f64>>>| a.cholesky(), &a, &w);
    assert_eq!(found.to_vec(), expected.to_vec());
}

/// A matrix without a root is NaN below its diagonal, alone in its stack, and
/// NaN mode names the line.
#[test]
fn matrices_that_are_not_positive_definite() {
    let (good, bad) = (
        [4.0, 2.0, 2.0, 10.0],
        [
            [-1.0, 0.0, 0.0, 1.0],          // the first pivot is negative
            [1.0, 2.0, 2.0, 1.0],           // the second is
            [1.0, 1.0, 1.0, 1.0],           // it is 0
            [0.0, 0.0, 0.0, 0.0],           // both are
            [f64::NAN, 0.0, 0.0, 1.0],      // no number
            [1.0, 0.0, 0.0, f64::INFINITY], // infinite
        ],
    );
    for bad in bad {
        let stack = plain(&[3, 2, 2], &[good, bad, good].concat());
        let root = stack.cholesky().to_vec();
        assert_eq!(root[..4], [2.0, 0.0, 1.0, 3.0]);
        assert_eq!(root[8..], [2.0, 0.0, 1.0, 3.0]);
        for (k, x) in root[4..8].iter().enumerate() {
            assert!(if k == 1 { *x == 0.0 } else { x.is_nan() }, "{root:?}");
        }
        let logs = stack.logdet().to_vec();
        assert!(logs[1].is_nan() && (logs[0] - 36f64.ln()).abs() <= 4.0 * f64::EPSILON);
        let g = grad(|a| a.logdet().sum(), &stack).to_vec();
        assert!(g[4..8].iter().all(|x| x.is_nan()), "{g:?}");
        assert!(g[..4].iter().chain(&g[8..]).all(|x| x.is_finite()), "{g:?}");
        let text = panic_text(|| trap_non_finite(|| plain(&[2, 2], &bad).logdet()));
        if bad.iter().all(|x| x.is_finite()) {
            assert!(
                text.starts_with("cholesky: first non-finite result, of shape [2, 2], at ")
                    && text.contains("linear_algebra.rs"),
                "{text}"
            );
        }
    }
    // A zero on the diagonal of a triangular system divides by zero.
    let singular = plain(&[2, 2], &[1.0, 0.0, 1.0, 0.0]);
    let b = plain(&[2, 1], &[1.0, 3.0]);
    let solve = || singular.solve_triangular(&b, Triangle::Lower, Transpose::No);
    assert_eq!(solve().to_vec(), [1.0, f64::INFINITY]);
    let text = panic_text(|| trap_non_finite(solve));
    assert!(
        text.starts_with("solve_triangular: first non-finite"),
        "{text}"
    );
}

#[test]
fn empty_matrices_and_no_right_hand_sides() {
    let none = plain(&[2, 0, 0], &[]);
    assert_eq!(none.cholesky().shape()[..], [2, 0, 0]);
    assert_eq!(none.logdet().to_vec(), [0.0, 0.0]);
    let solve = |a: &Plain, b: &Plain| a.solve_triangular(b, Triangle::Upper, Transpose::No);
    let b = plain(&[0, 3], &[]);
    assert_eq!(solve(&none, &b).shape()[..], [2, 0, 3]);
    assert_eq!(none.solve_spd(&b).shape()[..], [2, 0, 3]);
    let (a, b) = (matrices(), plain(&[2, 3, 0], &[]));
    assert_eq!(solve(&a, &b).shape()[..], [2, 3, 0]);
    let empty_stack = plain(&[0, 3, 3], &[]);
    assert_eq!(empty_stack.cholesky().shape()[..], [0, 3, 3]);
    assert_eq!(empty_stack.logdet().shape()[..], [0]);
    passes("empty", &Op("cholesky"), &[none]);
    passes("empty", &Op("solve_spd"), &[a, b]);
}

/// The bounds of Higham's theorems 8.5 and 10.3, element by element: Hilbert's
/// matrix, whose condition number grows like `e^{3.5n}`.
#[test]
fn roots_and_solutions_are_backward_stable() {
    fn measured<F: Real>(n: usize) -> (f64, f64) {
        let hilbert: Vec<f64> = (0..n * n)
            .map(|p| 1.0 / ((p / n + p % n + 1) as f64))
            .collect();
        let a: Tensor<Cpu<F>> =
            Tensor::new(&[n, n], hilbert.iter().map(|&x| F::from_f64(x)).collect());
        let root = a.cholesky();
        let b = Tensor::new(
            &[n, 1],
            (0..n).map(|i| F::from_f64((i as f64).sin())).collect(),
        );
        let x = root.solve_triangular(&b, Triangle::Lower, Transpose::Yes);
        let (a, l, b, x) = (double(&a), double(&root), double(&b), double(&x));
        let magnitude = l.abs().matmul(&t(&l.abs()));
        let rest = (l.matmul(&t(&l)) - a).abs() / magnitude;
        let size = t(&l.abs()).matmul(&x.abs());
        let left = (t(&l).matmul(&x) - b).abs() / size;
        let unit = F::EPSILON / 2.0;
        (rest.max().item() / unit, left.max().item() / unit)
    }
    for (n, (root, solution)) in [
        (4, measured::<f32>(4)),
        (4, measured::<f64>(4)),
        (10, measured::<f64>(10)),
    ] {
        println!("n = {n}: root {root:.2} u, solution {solution:.2} u");
        // In f64 the residual itself is rounded by as much again.
        assert!(root <= 2.0 * (n + 1) as f64, "{root} u");
        assert!(solution <= 2.0 * n as f64, "{solution} u");
    }
}

#[test]
fn what_does_not_fit_is_named() {
    let (a, b) = (plain(&[2, 3], &[0.0; 6]), plain(&[3, 2], &[0.0; 6]));
    let square = plain(&[2, 3, 3], &[0.0; 18]);
    let solve = |a: &Plain, b: &Plain| a.solve_triangular(b, Triangle::Lower, Transpose::No);
    let tail = "square matrices, […, n, n], were expected, the shape is [2, 3]";
    assert_eq!(panic_text(|| a.cholesky()), format!("cholesky: {tail}"));
    assert_eq!(panic_text(|| a.logdet()), format!("logdet: {tail}"));
    assert_eq!(panic_text(|| a.solve_spd(&b)), format!("solve_spd: {tail}"));
    assert_eq!(
        panic_text(|| solve(&a, &b)),
        format!("solve_triangular: {tail}")
    );
    assert_eq!(
        panic_text(|| Plain::scalar(1.0).logdet()),
        "logdet: square matrices, […, n, n], were expected, the shape is []"
    );
    assert_eq!(
        panic_text(|| solve(&square, &a)),
        "solve_triangular: [2, 3, 3] and right-hand sides [2, 3]: […, 3, m] was expected"
    );
    assert_eq!(
        panic_text(|| square.solve_spd(&plain(&[3], &[0.0; 3]))),
        "solve_spd: [2, 3, 3] and right-hand sides [3]: […, 3, m] was expected"
    );
    assert_eq!(
        panic_text(|| solve(&square, &plain(&[4, 3, 1], &[0.0; 12]))),
        "solve_triangular: stacks [2] and [4] of [2, 3, 3] and [4, 3, 1] do not broadcast together"
    );
    assert_eq!(
        panic_text(|| plain(&[2], &[0.0; 2]).tril(0)),
        "tril: two axes were expected, the shape is [2]"
    );
    assert_eq!(
        panic_text(|| Plain::scalar(0.0).triu(0)),
        "triu: two axes were expected, the shape is []"
    );
}

/// A fixed point of the fit of a Gaussian: at the sample covariance the
/// gradient of the likelihood is 0, through root, system and determinant.
#[test]
fn the_likelihood_of_a_gaussian_is_stationary_at_the_sample_covariance() {
    let x = sample(&[7, 3], (-1.0, 1.0), 3);
    let centred = &x - x.mean_axis(0);
    let covariance = t(&centred).matmul(&centred) / 7.0;
    let g = grad(
        |c: &Tensor<Var<Cpu<f64>>>| {
            let rows = Tensor::constant(&centred);
            let fit = (&rows * t(&c.solve_spd(&t(&rows)))).sum() / 7.0;
            fit + c.logdet()
        },
        &covariance,
    );
    let inverse = covariance.solve_spd(&Plain::full(&[3], 1.0).embed_diagonal());
    // Both halves are A⁻¹ with opposite signs, from some hundred operations.
    let allowed = 200.0 * f64::EPSILON * size(inverse.as_slice()).powi(2);
    close("gradient", &g, &[0.0; 9], allowed);
}

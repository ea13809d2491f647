//! Attention against loops over queries and keys; masks, also those that hide
//! everything.

use super::{Plain, close, distance, held, holds_in_f32, passes, plain};
use crate::panic_text;
use autograd::check::{Program, check, sample};
use autograd::{Algebra, Cpu, Tensor, Var, grad, trap_non_finite};

/// Two items; two heads of queries that share one head of keys and values;
/// three queries and four keys of width 5, values of width 2.
fn inputs() -> [Plain; 3] {
    [
        sample(&[2, 2, 3, 5], (-2.0, 2.0), 1),
        sample(&[2, 1, 4, 5], (-1.0, 2.0), 2),
        sample(&[2, 1, 4, 2], (-1.0, 1.0), 3),
    ]
}

/// Which keys query `t` sees; the last query sees nothing.
const MASK: [f64; 12] = [
    1.0, 0.0, 1.0, 1.0, //
    0.0, 1.0, 0.0, 0.0, //
    0.0, 0.0, 0.0, 0.0,
];

struct Attention(&'static str);
impl Program for Attention {
    fn run<A: Algebra>(&self, x: &[Tensor<A>]) -> Tensor<A> {
        let (q, k, v) = (&x[0], &x[1], &x[2]);
        match self.0 {
            "all" => q.attention(k, v, None),
            "causal" => q.attention(k, v, Some(&q.causal_mask(3, 4))),
            "masked" => q.attention(k, v, Some(&q.stop().lift(&[3, 4], &MASK))),
            // Wrong twins.
            "not scaled" => (q * 5f64.sqrt()).attention(k, v, None),
            "anticausal" => {
                let mask = q.causal_mask(3, 4);
                q.attention(k, v, Some(&(1.0 - mask)))
            }
            "keys held" => q.attention(&held(k), v, None),
            other => panic!("no attention {other}"),
        }
    }
}

/// Whether query `t` sees key `s`.
type Sees = fn(usize, usize) -> bool;

fn naive(at: &[Plain; 3], sees: Sees) -> Vec<f64> {
    let [q, k, v] = at.each_ref().map(Tensor::as_slice);
    let mut out = Vec::new();
    for item in 0..2 {
        for head in 0..2 {
            for t in 0..3 {
                let query = &q[((item * 2 + head) * 3 + t) * 5..][..5];
                let (mut total, mut sum) = (0.0, [0.0; 2]);
                for s in (0..4).filter(|&s| sees(t, s)) {
                    let key = &k[(item * 4 + s) * 5..][..5];
                    let score: f64 = query.iter().zip(key).map(|(a, b)| a * b).sum();
                    let weight = (score / 5f64.sqrt()).exp();
                    total += weight;
                    for (e, sum) in sum.iter_mut().enumerate() {
                        *sum += weight * v[(item * 4 + s) * 2 + e];
                    }
                }
                let safe = if total == 0.0 { 1.0 } else { total };
                out.extend(sum.map(|sum| sum / safe));
            }
        }
    }
    out
}

/// Scores are sums of five products below 4, so below 20; the exponential
/// turns their absolute error of 30 roundings into a relative one.
const ALLOWED: f64 = 30.0 * 20.0 * f64::EPSILON;

/// Verifies (AD.46), (AD.50).
#[test]
fn attention_equals_the_loop_and_passes_the_checker() {
    let at = inputs();
    let cases: [(_, Sees); 3] = [
        ("all", |_, _| true),
        ("causal", |t, s| s <= t),
        ("masked", |t, s| MASK[t * 4 + s] != 0.0),
    ];
    for (name, sees) in cases {
        let y = Attention(name).run(&at);
        assert_eq!(y.shape()[..], [2, 2, 3, 2]);
        close(name, &y, &naive(&at, sees), ALLOWED);
        passes(name, &Attention(name), &at);
        holds_in_f32(name, &Attention(name), &at);
    }
}

#[test]
fn wrong_twins_are_rejected() {
    let at = inputs();
    for (right, wrong) in [("all", "not scaled"), ("causal", "anticausal")] {
        let d = distance(
            Attention(right).run(&at).as_slice(),
            Attention(wrong).run(&at).as_slice(),
        );
        assert!(d > 1e-3, "{wrong} passes for {right}");
    }
    assert_eq!(
        check(&Attention("keys held"), &at).unwrap_err().law,
        "jvp equals extrapolated differences"
    );
}

/// What is hidden cannot be felt: the first query moves nothing else.
#[test]
fn a_causal_query_does_not_see_the_future() {
    let [q, k, v] = inputs();
    let g = grad(
        |v: &Tensor<Var<Cpu<f64>>>| {
            let (q, k) = (Tensor::constant(&q), Tensor::constant(&k));
            let y = q.attention(&k, v, Some(&q.causal_mask(3, 4)));
            y.slice(2, 0, 1).sum()
        },
        &v,
    );
    // Both heads of an item look at the first key alone, with weight 1.
    let expected = [2.0, 2.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0].repeat(2);
    assert_eq!(g.to_vec(), expected);
    assert_eq!(q.causal_mask(2, 3).to_vec(), [1.0, 0.0, 0.0, 1.0, 1.0, 0.0]);
}

/// No infinity stands for what is hidden, so NaN mode has nothing to report.
#[test]
fn nan_mode_is_silent_about_masks() {
    let at = inputs().to_vec();
    let g = trap_non_finite(|| {
        grad(
            |x: &Vec<Tensor<Var<Cpu<f64>>>>| Attention("masked").run(x).square().sum(),
            &at,
        )
    });
    assert!(g.iter().all(Tensor::all_finite));
    // Also next to the ends of the range.
    let x = plain(&[1, 3], &[-1e308, f64::MIN, 1e308]);
    let mask = plain(&[3], &[1.0, 1.0, 0.0]);
    let p = trap_non_finite(|| x.softmax_where(1, &mask));
    assert_eq!(p.to_vec(), [1.0, 0.0, 0.0]);
}

/// Rows with nothing to choose from, and masked elements that are no numbers.
#[test]
fn masked_softmax_has_no_nan_in_value_or_slope() {
    let x = plain(
        &[4, 3],
        &[
            f64::NAN,
            1.0,
            1.0, // NaN hidden
            f64::INFINITY,
            0.5,
            3.0, // ∞ hidden
            1.0,
            2.0,
            3.0, // all hidden
            f64::NEG_INFINITY,
            f64::NEG_INFINITY,
            7.0, // nothing left
        ],
    );
    let mask = plain(
        &[4, 3],
        &[0.0, 1.0, 1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 0.0],
    );
    let expected = [0.0, 0.5, 0.5, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0];
    assert_eq!(x.softmax_where(1, &mask).to_vec(), expected);
    let g = grad(
        |x: &Tensor<Var<Cpu<f64>>>| {
            let p = x.softmax_where(1, &mask);
            (&p * p.lift(&[3], &[1.0, 2.0, 4.0])).sum()
        },
        &x,
    );
    // p(w − ⟨p, w⟩) with weights 2 and 4 on the halves.
    let expected = [0.0, -0.5, 0.5, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0];
    assert_eq!(g.to_vec(), expected);
    // Without a mask a row of −∞ is 0/0.
    let none = plain(&[1, 2], &[f64::NEG_INFINITY; 2]);
    assert!(none.softmax(1).to_vec().iter().all(|p| p.is_nan()));
    let text = panic_text(|| trap_non_finite(|| none.softmax(1)));
    assert!(text.contains("first non-finite result"), "{text}");
}

struct SoftmaxWhere;
impl Program for SoftmaxWhere {
    fn run<A: Algebra>(&self, x: &[Tensor<A>]) -> Tensor<A> {
        let mask = x[0].stop().lift(&[3, 1], &[1.0, 0.0, 1.0]);
        x[0].softmax_where(1, &mask)
    }
}

#[test]
fn masked_softmax_along_an_inner_axis_with_a_broadcast_mask() {
    let x = sample(&[2, 3, 4], (-2.0, 2.0), 6);
    passes("softmax_where", &SoftmaxWhere, std::slice::from_ref(&x));
    let picked = x.index_select(1, &autograd::Index::new(vec![0, 2]));
    let expected = picked.softmax(1).slice(1, 1, 1).to_vec();
    let found = SoftmaxWhere.run(&[x]);
    assert_eq!(found.slice(1, 2, 1).to_vec(), expected);
    assert_eq!(found.slice(1, 1, 1).to_vec(), [0.0; 8]);
}

#[test]
fn empty_queries_keys_and_widths() {
    let empty = |shape: &[usize]| plain(shape, &vec![0.5; shape.iter().product()]);
    let y = empty(&[0, 2]).attention(&empty(&[3, 2]), &empty(&[3, 4]), None);
    assert_eq!(y.shape()[..], [0, 4]);
    // Nothing to look at is like everything hidden, if a mask says so.
    let mask = plain(&[2, 0], &[]);
    let y = empty(&[2, 2]).attention(&empty(&[0, 2]), &empty(&[0, 3]), Some(&mask));
    assert_eq!(y.to_vec(), [0.0; 6]);
    // Width 0: all scores are 0, the mean of the values.
    let y = empty(&[1, 0]).attention(&empty(&[2, 0]), &plain(&[2, 1], &[1.0, 3.0]), None);
    assert_eq!(y.to_vec(), [2.0]);
}

#[test]
fn what_does_not_fit_is_named() {
    let zeros = |shape: &[usize]| plain(shape, &vec![0.0; shape.iter().product()]);
    let (q, k, v) = (zeros(&[3, 5]), zeros(&[4, 5]), zeros(&[4, 2]));
    assert_eq!(
        panic_text(|| q.attention(&zeros(&[4, 6]), &v, None)),
        "attention: queries [3, 5], keys [4, 6] and values [4, 2] \
         are not […, T, D], […, S, D] and […, S, E]"
    );
    assert!(panic_text(|| q.attention(&k, &zeros(&[3, 2]), None)).contains("values [3, 2]"));
    assert_eq!(
        panic_text(|| zeros(&[5]).attention(&k, &v, None)),
        "attention: queries [5], keys [4, 5] and values [4, 2]: stacks of matrices were expected"
    );
    assert_eq!(
        panic_text(|| zeros(&[2, 3, 5]).attention(&zeros(&[3, 4, 5]), &v, None)),
        "attention: stacks [2] and [3] of [2, 3, 5] and [3, 4, 5] do not broadcast together"
    );
    assert_eq!(
        panic_text(|| q.attention(&k, &v, Some(&zeros(&[4, 3])))),
        "softmax_where: the mask [4, 3] does not broadcast to [3, 4]"
    );
    assert!(panic_text(|| q.softmax_where(2, &k)).starts_with("softmax_where: axis 2"));
}

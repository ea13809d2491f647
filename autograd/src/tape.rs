//! **Tape**: the flat list of what was computed, in order.
//!
//! Reverse mode records, for each operation, the pairs (input, linear map) of
//! its derivative, and then walks the list once from the end:
//!
//! ```math
//! \bar x_i \mathrel{+}= M_{ij}^{\mathsf T}\,\bar y_j \quad\text{for } j = N, N-1, \dots, 1 \tag{AD.7}
//! ```
//!
//! The order of recording is a topological order, so no graph is searched and
//! nothing recurses: three million nodes need no deep stack. A tape is closed
//! before it is swept, and a closed tape refuses to record: a first-order
//! sweep, which computes with plain numbers, leaves nothing behind. A Wengert list
//! (Wengert 1964) in the sense of Griewank and Walther, *Evaluating
//! Derivatives*, chapter 3.

use crate::algebra::Algebra;
use crate::fault;
use crate::finite;
use crate::map::Map;
use crate::tensor::Tensor;
use std::borrow::Borrow;
use std::cell::{Cell, RefCell};
use std::fmt::Debug;
use std::panic::Location;
use std::rc::Rc;

/// The recording of one reverse derivative.
#[derive(Debug)]
pub(crate) struct Tape<A: Algebra> {
    record: RefCell<Record<A>>,
    closed: Cell<bool>,
}

#[derive(Debug)]
struct Record<A: Algebra> {
    nodes: Vec<Node>,
    edges: Vec<Edge<A>>,
}

/// One value: where its edges begin, and the line that computed it.
#[derive(Clone, Copy, Debug)]
struct Node {
    first_edge: usize,
    line: &'static Location<'static>,
}

/// The derivative of a value by its inputs.
#[derive(Debug)]
enum Edge<A: Algebra> {
    /// By one of them.
    Single { input: usize, map: Map<A> },
    /// By several, whose cotangents come out of one computation.
    Joint(Rc<dyn Joint<A>>),
}

/// The derivative of a value by several inputs at once.
pub(crate) trait Joint<A: Algebra>: Debug {
    /// Gives each input, by its place on the tape, the cotangent that `y_bar`
    /// becomes; an input that the value does not depend on gets none.
    fn pull(&self, y_bar: Tensor<A>, give: &mut dyn FnMut(usize, Tensor<A>));
}

impl<A: Algebra> Tape<A> {
    pub(crate) fn new() -> Self {
        let record = Record {
            nodes: Vec::new(),
            edges: Vec::new(),
        };
        Tape {
            record: RefCell::new(record),
            closed: Cell::new(false),
        }
    }

    /// Adds a value computed from earlier ones; returns its place.
    #[track_caller]
    pub(crate) fn push(&self, edges: impl IntoIterator<Item = (usize, Map<A>)>) -> usize {
        // The maps are made before the borrow: making one may record on the
        // tapes of inner levels, never on this one.
        let edges = edges.into_iter();
        self.add(edges.map(|(input, map)| Edge::Single { input, map }))
    }

    /// Adds a value whose inputs get their cotangents together.
    #[track_caller]
    pub(crate) fn push_joint(&self, joint: Rc<dyn Joint<A>>) -> usize {
        self.add([Edge::Joint(joint)])
    }

    #[track_caller]
    fn add(&self, edges: impl IntoIterator<Item = Edge<A>>) -> usize {
        assert!(
            !self.closed.get(),
            "a variable was used after the derivative it belongs to was taken: \
             a value that leaves the closure of `grad` must be stopped with `.stop()`"
        );
        let mut record = self.record.borrow_mut();
        let first_edge = record.edges.len();
        record.edges.extend(edges);
        record.nodes.push(Node {
            first_edge,
            line: Location::caller(),
        });
        record.nodes.len() - 1
    }

    /// Ends the recording: whatever is added from now on is refused, so a
    /// sweep cannot record.
    pub(crate) fn close(&self) {
        self.closed.set(true);
    }

    /// Pulls the cotangent `seed` of the value at `output` back to the first
    /// `leaves` places. Each edge is dropped as soon as it has been used, so
    /// the memory of the recording is given back on the way.
    pub(crate) fn sweep(
        &self,
        output: usize,
        seed: Tensor<A>,
        leaves: usize,
    ) -> Vec<Option<Tensor<A>>> {
        self.close();
        let mut record = self.record.borrow_mut();
        let Record { nodes, edges } = &mut *record;
        let mut bar: Vec<Option<Tensor<A>>> = vec![None; nodes.len()];
        bar[output] = Some(seed);
        while nodes.len() > leaves {
            let Some(node) = nodes.pop() else { break };
            let own = edges.drain(node.first_edge..);
            let Some(y_bar) = bar[nodes.len()].take() else {
                continue;
            };
            pull_back(&mut bar, y_bar, node, own);
        }
        bar.truncate(leaves);
        bar
    }

    /// Like [`sweep`](Self::sweep), but the recording stays whole, for another
    /// sweep.
    pub(crate) fn sweep_again(
        &self,
        output: usize,
        seed: Tensor<A>,
        leaves: usize,
    ) -> Vec<Option<Tensor<A>>> {
        self.close();
        let record = self.record.borrow();
        let mut bar: Vec<Option<Tensor<A>>> = vec![None; leaves.max(output + 1)];
        bar[output] = Some(seed);
        let mut end = match record.nodes.get(output + 1) {
            Some(next) => next.first_edge,
            None => record.edges.len(),
        };
        for place in (leaves..=output).rev() {
            let node = record.nodes[place];
            if let Some(y_bar) = bar[place].take() {
                let own = record.edges[node.first_edge..end].iter();
                pull_back(&mut bar, y_bar, node, own);
            }
            end = node.first_edge;
        }
        bar.truncate(leaves);
        bar
    }
}

/// Sends the cotangent of one value to its inputs. Edges given by value are
/// dropped one by one.
fn pull_back<A: Algebra, E: Borrow<Edge<A>>>(
    bar: &mut [Option<Tensor<A>>],
    y_bar: Tensor<A>,
    node: Node,
    edges: impl ExactSizeIterator<Item = E>,
) {
    let _origin = finite::origin(node.line);
    let mut give = |input: usize, pulled: Tensor<A>| {
        let pulled = finite::checked("a pullback", pulled);
        bar[input] = Some(match bar[input].take() {
            Some(earlier) => earlier + pulled, // (AD.7)
            None => pulled,
        });
    };
    let mut y_bar = Some(y_bar);
    let count = edges.len();
    for (i, edge) in edges.enumerate() {
        // The last use takes the cotangent itself, so that its buffer can
        // become the result.
        let last = i + 1 == count;
        let w = if last { y_bar.take() } else { y_bar.clone() };
        let Some(w) = w else { break };
        let w = fault::pulled(node.first_edge + i, w);
        match edge.borrow() {
            Edge::Single { input, map } => give(*input, map.pull(w)),
            Edge::Joint(joint) => joint.pull(w, &mut give),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::Cpu;
    use crate::var::Var;

    type Plain = Tensor<Cpu<f64>>;

    /// `y = x·x + 3x` on a tape with one leaf, at `x = 2`.
    fn recorded() -> (Rc<Tape<Cpu<f64>>>, usize) {
        let tape = Rc::new(Tape::new());
        let x = Var::leaf(&tape, Plain::scalar(2.0));
        let (_, output) = (&x * &x + 3.0 * &x).0.parts(&tape);
        (tape, output.expect("it depends on x"))
    }

    fn slope(bars: &[Option<Plain>]) -> f64 {
        bars[0].as_ref().expect("reached").item()
    }

    #[test]
    fn a_sweep_records_nothing_and_empties_the_tape() {
        let (tape, output) = recorded();
        let before = tape.record.borrow().nodes.len();
        assert_eq!((before, output), (4, 3), "leaf, product, multiple, sum");
        let bars = tape.sweep(output, Plain::scalar(1.0), 1);
        assert_eq!(slope(&bars), 7.0);
        let record = tape.record.borrow();
        assert_eq!((record.nodes.len(), record.edges.len()), (1, 0));
    }

    #[test]
    fn a_recording_can_be_swept_again_and_stays_whole() {
        let (tape, output) = recorded();
        for seed in [1.0, -2.0, 0.5] {
            let bars = tape.sweep_again(output, Plain::scalar(seed), 1);
            assert_eq!(slope(&bars), 7.0 * seed);
            let record = tape.record.borrow();
            assert_eq!((record.nodes.len(), record.edges.len()), (4, 5));
        }
        // From a place in the middle: the product alone.
        assert_eq!(slope(&tape.sweep_again(1, Plain::scalar(1.0), 1)), 4.0);
        assert_eq!(slope(&tape.sweep(output, Plain::scalar(1.0), 1)), 7.0);
    }

    /// A derivative that tries to record while it is swept.
    struct Meddler(Tensor<Var<Cpu<f64>>>);
    impl Debug for Meddler {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("Meddler")
        }
    }
    impl Joint<Cpu<f64>> for Meddler {
        fn pull(&self, _: Plain, give: &mut dyn FnMut(usize, Plain)) {
            give(0, self.0.exp().stop());
        }
    }

    #[test]
    #[should_panic(expected = "after the derivative it belongs to was taken")]
    fn recording_during_a_sweep_is_refused() {
        let tape = Rc::new(Tape::new());
        let x = Var::leaf(&tape, Plain::scalar(2.0));
        let output = tape.push_joint(Rc::new(Meddler(x)));
        let _ = tape.sweep(output, Plain::scalar(1.0), 1);
    }
}

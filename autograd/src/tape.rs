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
//! nothing recurses: three million nodes need no deep stack. A Wengert list
//! (Wengert 1964) in the sense of Griewank and Walther, *Evaluating
//! Derivatives*, chapter 3.

use crate::algebra::Algebra;
use crate::fault;
use crate::finite;
use crate::map::Map;
use crate::tensor::Tensor;
use std::cell::{Cell, RefCell};
use std::panic::Location;

/// The recording of one reverse derivative.
#[derive(Debug)]
pub(crate) struct Tape<A: Algebra> {
    record: RefCell<Record<A>>,
    swept: Cell<bool>,
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

/// The derivative of a value by one of its inputs.
#[derive(Debug)]
struct Edge<A: Algebra> {
    input: usize,
    map: Map<A>,
}

impl<A: Algebra> Tape<A> {
    pub(crate) fn new() -> Self {
        let record = Record {
            nodes: Vec::new(),
            edges: Vec::new(),
        };
        Tape {
            record: RefCell::new(record),
            swept: Cell::new(false),
        }
    }

    /// Adds a value computed from earlier ones; returns its place.
    #[track_caller]
    pub(crate) fn push(&self, edges: impl IntoIterator<Item = (usize, Map<A>)>) -> usize {
        assert!(
            !self.swept.get(),
            "a variable was used after the derivative it belongs to was taken: \
             a value that leaves the closure of `grad` must be stopped with `.stop()`"
        );
        // The maps are made before the borrow: making one may record on the
        // tapes of inner levels, never on this one.
        let edges = edges.into_iter().map(|(input, map)| Edge { input, map });
        let mut record = self.record.borrow_mut();
        let first_edge = record.edges.len();
        record.edges.extend(edges);
        record.nodes.push(Node {
            first_edge,
            line: Location::caller(),
        });
        record.nodes.len() - 1
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
        self.swept.set(true);
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
            let _origin = finite::origin(node.line);
            let mut y_bar = Some(y_bar);
            let count = own.len();
            for (i, edge) in own.enumerate() {
                // The last use takes the cotangent itself, so that its buffer
                // can become the result.
                let w = if i + 1 == count {
                    y_bar.take()
                } else {
                    y_bar.clone()
                };
                let Some(w) = w else { break };
                let w = fault::pulled(node.first_edge + i, w);
                let pulled = finite::checked("a pullback", edge.map.pull(w));
                let sum = match bar[edge.input].take() {
                    Some(earlier) => earlier + pulled, // (AD.7)
                    None => pulled,
                };
                bar[edge.input] = Some(sum);
            }
        }
        bar.truncate(leaves);
        bar
    }
}

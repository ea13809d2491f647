//! Numbers computed elsewhere with more digits, by `../data/generate.py`.

use serde_json::Value;

/// The whole file.
pub(crate) fn references() -> Value {
    serde_json::from_str(include_str!("../data/references.json")).expect("valid JSON")
}

/// A number, which is text so that no digit is lost.
pub(crate) fn number(value: &Value) -> f64 {
    let text = value.as_str().expect("text");
    text.parse().expect("a number")
}

/// A list of them.
pub(crate) fn numbers(value: &Value) -> Vec<f64> {
    let list = value.as_array().expect("a list");
    list.iter().map(number).collect()
}

/// The names of the methods there, in the order of `methods::ALL`.
pub(crate) const METHODS: [&str; 12] = [
    "euler",
    "midpoint",
    "heun2",
    "ralston2",
    "kutta3",
    "ssprk33",
    "rk4",
    "rk38",
    "bogacki_shampine32",
    "dormand_prince54",
    "tsitouras54",
    "dop853",
];

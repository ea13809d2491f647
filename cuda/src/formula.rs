//! **Formulas**: pointwise kernels printed from expressions.
//!
//! ```math
//! y^k_i = f_k(x^0_i, x^1_i, \dots)
//! ```
//!
//! One thread an element; 4 bytes read for each input and written for each
//! output, and nothing between: a chain of functions that is composed before
//! it is printed is one kernel, and what lies between two of them stays in a
//! register.

use crate::expression::{Body, Expr};
use crate::source::Source;
use std::fmt::Write as _;

/// A pointwise kernel: so many arrays in, so many out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Formula {
    name: String,
    inputs: usize,
    outputs: usize,
    source: Source,
}

impl Formula {
    /// The kernel of a function of `inputs` numbers.
    #[must_use]
    pub fn new(name: &str, inputs: usize, f: impl FnOnce(&[Expr]) -> Vec<Expr>) -> Self {
        let body = Body::default();
        let arguments: Vec<Expr> = (0..inputs).map(|k| body.name(format!("a{k}"))).collect();
        let results = f(&arguments);
        let text = kernel(&body, inputs, &results);
        let mut files = vec![
            ("polynomial.cuh", include_str!("kernels/polynomial.cuh")),
            ("pointwise.cu", text.as_str()),
        ];
        if ["fg_powi", "fg_ln_gamma", "fg_polygamma"]
            .iter()
            .any(|f| text.contains(f))
        {
            files.insert(1, ("polygamma.cuh", include_str!("kernels/polygamma.cuh")));
        }
        Formula {
            name: name.to_owned(),
            inputs,
            outputs: results.len(),
            source: Source::of(name, &files),
        }
    }

    /// What it is called in messages.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The text of the module.
    #[must_use]
    pub fn source(&self) -> &Source {
        &self.source
    }
}

/// The text of the kernel.
fn kernel(body: &Body, inputs: usize, results: &[Expr]) -> String {
    let mut text = String::from("extern \"C\" __global__ void pointwise(");
    for k in 0..results.len() {
        write!(text, "float* y{k}, ").expect("a string grows");
    }
    for k in 0..inputs {
        write!(text, "const float* x{k}, ").expect("a string grows");
    }
    text.push_str(
        "unsigned n) {\n    unsigned i = blockIdx.x * blockDim.x + threadIdx.x;\n    if (i >= n) return;\n",
    );
    let mut lines = body.text();
    for (k, result) in results.iter().enumerate() {
        writeln!(lines, "    y{k}[i] = {};", result.as_str()).expect("a string grows");
    }
    // A slope need not depend on all it may use; the rest is not read.
    for k in (0..inputs).filter(|k| mentions(&lines, &format!("a{k}"))) {
        writeln!(text, "    float a{k} = x{k}[i];").expect("a string grows");
    }
    text.push_str(&lines);
    text.push_str("}\n");
    text
}

/// Whether a variable occurs in a text.
fn mentions(text: &str, variable: &str) -> bool {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.into_iter().any(|word| word == variable)
}

#[cfg(feature = "cuda")]
mod on_device {
    #![expect(unsafe_code, reason = "kernels are launched")]

    use super::Formula;
    use crate::device::{Argument, Buffer, Device, Grid};
    use crate::error::CudaError;

    impl Formula {
        /// The results for arrays of `n` numbers.
        ///
        /// # Errors
        /// If there are not as many arrays or numbers, or the device refuses.
        pub fn apply(
            &self,
            device: &Device,
            inputs: &[&Buffer<f32>],
            n: usize,
        ) -> Result<Vec<Buffer<f32>>, CudaError> {
            if inputs.len() != self.inputs || inputs.iter().any(|x| x.len() != n) {
                let lengths: Vec<usize> = inputs.iter().map(|x| x.len()).collect();
                let given = format!("arrays of {lengths:?} numbers");
                let expected = format!("{} of {n}", self.inputs);
                return Err(CudaError::mismatch(self.name(), given, expected));
            }
            let count = u32::try_from(n);
            let count = count.map_err(|_| CudaError::mismatch(self.name(), n, "below 2^32"))?;
            let outputs = (0..self.outputs).map(|_| device.uninitialised(n));
            let mut outputs: Vec<Buffer<f32>> = outputs.collect::<Result<_, _>>()?;
            let mut arguments: Vec<Argument<'_>> = Vec::new();
            arguments.extend(outputs.iter_mut().map(Argument::from));
            arguments.extend(inputs.iter().map(|x| Argument::from(*x)));
            arguments.push(count.into());
            // SAFETY: every array has n numbers.
            unsafe { device.launch(self.source(), "pointwise", Grid::over(n), &arguments)? };
            Ok(outputs)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_reads_like_one() {
        let twice = Formula::new("twice", 2, |x| vec![x[0].clone() + x[1].times(2.0)]);
        let expected = "\
extern \"C\" __global__ void pointwise(float* y0, const float* x0, const float* x1, unsigned n) {
    unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    float a0 = x0[i];
    float a1 = x1[i];
    float v0 = a1 * 2.0f;
    float v1 = a0 + v0;
    y0[i] = v1;
}
";
        assert!(
            twice.source().text().contains(expected),
            "{}",
            twice.source().text()
        );
    }

    #[test]
    fn what_is_not_used_is_not_read() {
        let second = Formula::new("second", 12, |x| vec![x[1].exp()]);
        let text = second.source().text();
        assert!(text.contains("a1 = x1[i]") && !text.contains("a0 = x0[i]"));
        assert!(!text.contains("a11 = x11[i]"), "{text}");
    }

    #[test]
    fn a_header_stands_where_it_is_used() {
        let has = |f: fn(&Expr) -> Expr| {
            let formula = Formula::new("f", 1, |x| vec![f(&x[0])]);
            formula.source().text().contains("polygamma.cuh")
        };
        assert!(!has(Expr::exp) && has(Expr::ln_gamma) && has(|x| x.powi(3)));
    }
}

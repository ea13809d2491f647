//! **The training step that is raced, on the GPU**, in three readings: the
//! algebra, fused kernels layer by layer, and the whole network in one launch
//! and its pull in another. Each eagerly, or recorded as a graph.
//!
//! Everything that a step changes lies on the device, so a graph of any of them
//! draws a new batch and moves the parameters at each replay.

use crate::training_step::{DIMENSION, Size};
use autograd::{
    Algebra, Cpu, Cuda, Draw, Mlp, Philox, Tensor, TimeFeatures, Tree, Unary, value_and_grad,
};
use cuda::{
    Activation, Adamw, AdamwConfig, Buffer, CudaError, Device, Expr, Factor, FlowBatch, FlowSource,
    FlowStreams, FlowVersion, Formula, Linear, LinearVersion, MlpShape, MlpVersion, NarrowMlp,
    SumVersion, View, column_sums, linear_silu, linear_silu_pull, matmul, read_view, scaled, sum,
    write_view,
};

/// The mean over samples and coordinates of `(v(t, x_t) − target)²`.
#[must_use]
pub fn mean_loss<A: Algebra>(
    net: &Mlp<A>,
    t: &Tensor<A>,
    xt: &Tensor<A>,
    target: &Tensor<A>,
) -> Tensor<A> {
    (net.velocity(t, xt) - target).square().mean()
}

/// A fresh network of a size, the one that the other programs of the race have.
#[must_use]
pub fn network(size: Size) -> Mlp<Cpu<f32>> {
    let hidden = vec![size.hidden; size.layers];
    let (time, draw) = (TimeFeatures::Plain, Draw::seed(0));
    Mlp::new(DIMENSION, &hidden, DIMENSION, time, Unary::Silu, draw)
}

/// A network in training, on a device.
#[derive(Debug)]
pub struct DeviceStep {
    size: Size,
    /// Gives the structure of the model; its numbers are where it began.
    template: Mlp<Cpu<f32>>,
    source: FlowSource,
    adam: Adamw,
    /// The error's square, and the slope of the mean loss by the velocity, from
    /// a velocity without its last bias, the bias, and the target.
    error: Formula,
    /// The same from a velocity and the target.
    error_of_whole: Formula,
}

/// A dense layer at work on these rows.
fn layer<'a>(
    (w, b): &'a (Buffer<f32>, Buffer<f32>),
    x: &'a Buffer<f32>,
    rows: usize,
) -> Linear<'a> {
    let inputs = x.len() / rows;
    Linear {
        x,
        w,
        b,
        rows,
        inputs,
    }
}

/// The loss before a step and its gradient, flat.
type Slopes = (Buffer<f32>, Buffer<f32>);

impl DeviceStep {
    /// A fresh network and a fixed batch of normal data.
    ///
    /// # Errors
    /// If the device refuses.
    pub fn new(device: &Device, size: Size) -> Result<Self, CudaError> {
        let template = network(size);
        let flat: Vec<f32> = template.leaves().iter().flat_map(Tensor::to_vec).collect();
        let config = AdamwConfig {
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-8,
            weight_decay: 0.0,
            average_decay: 0.999,
        };
        let mut data = vec![0.0; size.batch * DIMENSION];
        Philox::normal_f32(Draw::seed(0).stream(9), 0, &mut data);
        let streams = FlowStreams {
            noise: 0,
            time: 1,
            data: 2,
        };
        let data = device.upload(&data)?;
        let mean = 1.0 / (size.batch * DIMENSION) as f64;
        let error = move |off: Expr| {
            let factor = off.constant(2.0 * mean);
            vec![off.clone() * off.clone(), factor * off]
        };
        let with_bias = |x: &[Expr]| error(x[0].clone() + x[1].clone() - x[2].clone());
        let of_whole = |x: &[Expr]| error(x[0].clone() - x[1].clone());
        Ok(DeviceStep {
            size,
            template,
            source: FlowSource::new(data, [size.batch, DIMENSION], 1, streams)?,
            adam: Adamw::new(device, &flat, config, 1e-3)?,
            error: Formula::new("error", 3, with_bias),
            error_of_whole: Formula::new("error_of_whole", 2, of_whole),
        })
    }

    /// The parameters, flat.
    #[must_use]
    pub fn parameters(&self) -> &Buffer<f32> {
        &self.adam.parameters
    }

    /// The next batch.
    ///
    /// # Errors
    /// If the device refuses.
    pub fn batch(&mut self) -> Result<FlowBatch, CudaError> {
        self.source.next(self.size.batch, FlowVersion::Four)
    }

    /// The model with the parameters of now.
    fn model(&self) -> Result<Mlp<Cuda<f32>>, CudaError> {
        let n = self.adam.parameters.len();
        let now = read_view(&self.adam.parameters, &View::dense(&[n]))?;
        let flat = Tensor::from_buffer(&[n], now);
        let mut at = 0;
        Ok(self.template.map(&mut |leaf: &Tensor<Cpu<f32>>| {
            let shape = leaf.shape();
            let part = flat.slice(0, at, shape.count()).reshape(&shape);
            at += shape.count();
            part
        }))
    }

    /// Loss and gradient by the algebra.
    ///
    /// # Errors
    /// If the device refuses.
    pub fn slopes(&self, batch: FlowBatch) -> Result<Slopes, CudaError> {
        let rows = self.size.batch;
        let points = |x| Tensor::from_buffer(&[rows, DIMENSION], x);
        let [t, xt, target] = [
            Tensor::from_buffer(&[rows, 1], batch.t),
            points(batch.xt),
            points(batch.target),
        ]
        .map(|x| Tensor::constant(&x));
        let (value, slope) = value_and_grad(
            |net: &Mlp<_>| mean_loss(net, &t, &xt, &target),
            &self.model()?,
        );
        let flat = |leaf: Tensor<Cuda<f32>>| leaf.reshape(&[leaf.shape().count()]);
        let slopes: Vec<_> = slope.leaves().into_iter().map(flat).collect();
        let gradient = Tensor::concat(&slopes.iter().collect::<Vec<_>>(), 0);
        let copy = |x: &Tensor<Cuda<f32>>| {
            let n = x.shape().count();
            read_view(x.buffer(), &View::dense(&[n]))
        };
        Ok((copy(&value)?, copy(&gradient)?))
    }

    /// Loss and gradient from fused kernels: a dense layer is a product and one
    /// launch, its pull two products and two launches.
    ///
    /// # Errors
    /// If the device refuses.
    pub fn fused_slopes(&self, batch: &FlowBatch) -> Result<Slopes, CudaError> {
        let (rows, parameters) = (self.size.batch, &self.adam.parameters);
        let device = parameters.device();
        let precision = device.precision();
        let mut input = device.uninitialised(rows * (DIMENSION + 1))?;
        let columns = |count, begin| View {
            extents: vec![rows, count],
            steps: vec![DIMENSION as isize + 1, 1],
            begin,
        };
        write_view(&mut input, &batch.xt, &columns(DIMENSION, 0))?;
        write_view(&mut input, &batch.t, &columns(1, DIMENSION))?;
        let mut at = 0;
        let mut part = |n: usize| {
            let view = View {
                begin: at,
                ..View::dense(&[n])
            };
            at += n;
            read_view(parameters, &view)
        };
        let widths = self.widths();
        let mut weights = Vec::new();
        for w in widths.windows(2) {
            weights.push((part(w[0] * w[1])?, part(w[1])?));
        }
        let (last, hidden) = weights.split_last().expect("a network has layers");
        let version = LinearVersion::Cublas(precision);
        let mut outs: Vec<Activation> = Vec::new();
        for own in hidden {
            let x = outs.last().map_or(&input, |out| &out.h);
            let out = linear_silu(layer(own, x, rows), version)?;
            outs.push(out);
        }
        let h = outs.last().map_or(&input, |out| &out.h);
        let (from, to) = (widths[widths.len() - 2], DIMENSION);
        let (w, b) = (&last.0, &last.1);
        let v = matmul(
            Factor::plain(h),
            Factor::plain(w),
            1,
            [rows, to, from],
            precision,
        )?;
        let repeated = View {
            extents: vec![rows, to],
            steps: vec![0, 1],
            begin: 0,
        };
        let b = read_view(b, &repeated)?;
        let mut errors = self
            .error
            .apply(device, &[&v, &b, &batch.target], rows * to)?;
        let v_bar = errors.remove(1);
        let loss = sum(&errors[0], SumVersion::Shuffle)?;
        let loss = scaled(&loss, 1.0 / (rows * to) as f32)?;
        let (hf, vf) = (Factor::transposed(h), Factor::plain(&v_bar));
        // Last to first: weights and biases.
        let mut slopes = vec![(
            matmul(hf, vf, 1, [from, to, rows], precision)?,
            column_sums(&v_bar, rows, to)?,
        )];
        let back = Factor::transposed(w);
        let mut h_bar = matmul(vf, back, 1, [rows, from, to], precision)?;
        for (i, out) in outs.iter().enumerate().rev() {
            let x = i.checked_sub(1).map_or(&input, |before| &outs[before].h);
            let pull = linear_silu_pull(layer(&weights[i], x, rows), out, &h_bar, precision)?;
            slopes.push((pull.w, pull.b));
            h_bar = pull.x;
        }
        let mut gradient = device.uninitialised(parameters.len())?;
        let mut at = 0;
        for slope in slopes.iter().rev().flat_map(|(w, b)| [w, b]) {
            let view = View {
                begin: at,
                ..View::dense(&[slope.len()])
            };
            at += slope.len();
            write_view(&mut gradient, slope, &view)?;
        }
        Ok((loss, gradient))
    }

    /// Loss and gradient with the whole network in one launch, and its pull in
    /// another: in single precision, whatever the device is set to.
    ///
    /// # Errors
    /// If the network is not narrow enough, or the device refuses.
    pub fn narrow_slopes(&self, batch: &FlowBatch) -> Result<Slopes, CudaError> {
        let (rows, parameters) = (self.size.batch, &self.adam.parameters);
        let shape = MlpShape {
            inputs: DIMENSION + 1,
            width: self.size.hidden,
            hidden: self.size.layers,
            outputs: DIMENSION,
        };
        let net = NarrowMlp::new(shape, parameters)?;
        let v = net.velocity(&batch.xt, &batch.t, rows, MlpVersion::Shared)?;
        let inputs = [&v, &batch.target];
        let errors = self
            .error_of_whole
            .apply(parameters.device(), &inputs, v.len())?;
        let loss = sum(&errors[0], SumVersion::Shuffle)?;
        let pull = net.pull(&batch.xt, &batch.t, rows, &errors[1])?;
        Ok((scaled(&loss, 1.0 / v.len() as f32)?, pull.parameters))
    }

    /// Numbers of a row before, between and behind the layers.
    fn widths(&self) -> Vec<usize> {
        let mut widths = vec![DIMENSION + 1];
        widths.extend(vec![self.size.hidden; self.size.layers]);
        widths.push(DIMENSION);
        widths
    }

    /// One step by the algebra; the loss before it.
    ///
    /// # Errors
    /// If the device refuses.
    pub fn step(&mut self) -> Result<Buffer<f32>, CudaError> {
        let batch = self.batch()?;
        let (loss, gradient) = self.slopes(batch)?;
        self.adam.step(&gradient)?;
        Ok(loss)
    }

    /// One step with the network in one launch; the loss before it.
    ///
    /// # Errors
    /// If the network is not narrow enough, or the device refuses.
    pub fn narrow_step(&mut self) -> Result<Buffer<f32>, CudaError> {
        let batch = self.batch()?;
        let (loss, gradient) = self.narrow_slopes(&batch)?;
        self.adam.step(&gradient)?;
        Ok(loss)
    }

    /// One step from fused kernels; the loss before it.
    ///
    /// # Errors
    /// If the device refuses.
    pub fn fused_step(&mut self) -> Result<Buffer<f32>, CudaError> {
        let batch = self.batch()?;
        let (loss, gradient) = self.fused_slopes(&batch)?;
        self.adam.step(&gradient)?;
        Ok(loss)
    }
}

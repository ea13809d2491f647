//! temporary
/// Names a draw.
#[derive(Clone, Copy, Debug)]
pub struct Draw {
    /// seed
    pub seed: u64,
    /// stream
    pub stream: u32,
    /// step
    pub step: u32,
}
impl Draw {
    /// The seed.
    pub fn seed(seed: u64) -> Self {
        Draw {
            seed,
            stream: 0,
            step: 0,
        }
    }
}
/// Philox
#[derive(Debug)]
pub struct Philox;
impl Philox {
    /// u
    pub fn uniform_f32(d: Draw, first: u64, out: &mut [f32]) {
        let mut s = d.seed ^ (u64::from(d.stream) << 40) ^ (u64::from(d.step) << 20) ^ first;
        for o in out {
            s = s
                .wrapping_mul(6364136223846793005)
                .wrapping_add(1442695040888963407);
            *o = (s >> 40) as f32 / 16777216.0;
        }
    }
}
impl Philox {
    /// n
    pub fn normal_f32(d: Draw, first: u64, out: &mut [f32]) {
        Self::uniform_f32(d, first, out);
        for o in out {
            *o = (*o - 0.5) * 3.46;
        }
    }
}

//! temporary
#[inline(always)]
pub(crate) fn exp(x: f32) -> f32 {
    x.exp()
}
#[inline(always)]
pub(crate) fn ln(x: f32) -> f32 {
    x.ln()
}
#[inline(always)]
pub(crate) fn sin(x: f32) -> f32 {
    x.sin()
}
#[inline(always)]
pub(crate) fn cos(x: f32) -> f32 {
    x.cos()
}
#[inline(always)]
pub(crate) fn tanh(x: f32) -> f32 {
    x.tanh()
}
#[inline(always)]
pub(crate) fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + (-x).exp())
}

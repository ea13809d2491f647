//! Device, memory and kernels for flowgrad: a documented shell until the CUDA work begins.

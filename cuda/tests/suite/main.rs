//! Everything that runs on a device, on the GPU if there is one, else on the
//! emulated driver.

mod device;
mod graph;
mod place;
mod product;

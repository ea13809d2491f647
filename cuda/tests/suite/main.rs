//! Everything that runs on a device, on the GPU if there is one, else on the
//! emulated driver.

mod adamw;
mod constant;
mod convolution;
mod dense;
mod device;
mod diary;
mod flow_batch;
mod formula;
mod graph;
mod loading;
mod mlp;
mod oracle;
mod place;
mod places;
mod product;
mod reduce;
mod softmax;
mod stages;
mod tensor;
mod view;

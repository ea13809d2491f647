//! An array and one number.

use crate::oracle::{SIZES, bits, numbers};
use crate::place::device;
use cuda::{filled, scaled, shifted};

#[test]
fn fill_scale_and_shift() {
    let device = device();
    for n in SIZES {
        let x = numbers(n, 1);
        let on_device = device.upload(&x).expect("there is room");
        let read = |y: Result<cuda::Buffer<f32>, _>| {
            bits(&y.and_then(|y| y.download()).expect("no fault"))
        };
        assert_eq!(read(filled(&device, -0.0, n)), vec![(-0.0f32).to_bits(); n]);
        let scaled_by_hand: Vec<f32> = x.iter().map(|x| x * 0.3).collect();
        assert_eq!(read(scaled(&on_device, 0.3)), bits(&scaled_by_hand));
        let shifted_by_hand: Vec<f32> = x.iter().map(|x| x + 0.3).collect();
        assert_eq!(read(shifted(&on_device, 0.3)), bits(&shifted_by_hand));
    }
}

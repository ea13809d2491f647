//! A diary keeps the last numbers, however they came there.

use crate::place::device;
use cuda::Diary;

#[test]
fn the_last_numbers_in_their_order() {
    let device = device();
    let mut diary = Diary::new(&device, 5).expect("there is room");
    assert_eq!(diary.last(3), Ok(vec![]));
    let mut x = device.zeros::<f32>(1).expect("there is room");
    for n in 1..=13 {
        x.write(&[n as f32]).expect("no fault");
        diary.note(&x).expect("no fault");
        let first = 1.max(n - 4);
        let expected: Vec<f32> = (first..=n).map(|n| n as f32).collect();
        assert_eq!(diary.last(7), Ok(expected));
    }
    assert_eq!(diary.last(2), Ok(vec![12.0, 13.0]));
    assert!(
        diary
            .note(&device.zeros::<f32>(2).expect("there is room"))
            .is_err()
    );
}

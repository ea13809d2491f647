//! Gather, and scatter-add with the CPU's order of additions.

use crate::oracle::{bits, numbers};
use crate::place::device;
use cuda::{Places, ScatterVersion, gather, scatter_add};

#[test]
fn both_ways_at_every_shape() {
    let device = device();
    for [outer, count, of, inner] in [
        [1, 1, 1, 1],
        [3, 33, 5, 2],
        [2, 257, 31, 1],
        [1, 0, 4, 3],
        [1, 40, 1025, 3],
        [1, 1025, 7, 2],
        [2, 3, 4, 1025],
        [0, 3, 2, 1],
    ] {
        let random = numbers(count, 3);
        let index: Vec<u32> = random
            .iter()
            .map(|x| ((x + 1.0) * 0.5 * of as f32) as u32 % of as u32)
            .collect();
        let places = Places::new(&device, &index, of).expect("they lie on the axis");
        let x = numbers(outer * of * inner, 4);
        let y = numbers(outer * count * inner, 5);
        let on_device = [&x, &y].map(|x| device.upload(x).expect("there is room"));
        let mut gathered = vec![0.0; y.len()];
        let mut added = vec![0.0f32; x.len()];
        for o in 0..outer {
            for (p, &place) in index.iter().enumerate() {
                for i in 0..inner {
                    let (e, at) = (
                        (o * count + p) * inner + i,
                        (o * of + place as usize) * inner + i,
                    );
                    gathered[e] = x[at];
                    added[at] += y[e];
                }
            }
        }
        let found = gather(&on_device[0], &places, outer, inner).and_then(|y| y.download());
        assert_eq!(bits(&found.expect("no fault")), bits(&gathered));
        for version in ScatterVersion::ALL {
            let found = scatter_add(&on_device[1], &places, outer, inner, version);
            let found = found.and_then(|x| x.download()).expect("no fault");
            assert_eq!(bits(&found), bits(&added), "{version:?}");
        }
    }
}

#[test]
fn a_place_beyond_the_axis_is_refused() {
    let outcome = Places::new(&device(), &[0, 4], 4);
    let error = outcome.expect_err("4 is not below 4").to_string();
    assert_eq!(error, "places: place 4; expected less than 4");
}

//! Unfold, fold and convolution by a product, against their definitions.

use crate::oracle::{bits, close, numbers, product_bound};
use crate::place::device;
use cuda::{ImageWindows, Precision, convolve, fold, unfold};

const CASES: [ImageWindows; 9] = [
    windows(1, 1, [1, 1], [1, 1], 1, 0),
    windows(2, 3, [5, 7], [3, 3], 1, 1),
    windows(3, 2, [9, 8], [2, 3], 2, 0),
    windows(1, 1, [2, 2], [3, 3], 1, 0), // no window fits
    windows(0, 2, [4, 4], [2, 2], 2, 1),
    windows(1, 2, [31, 33], [3, 5], 1, 2),
    windows(2, 1, [257, 3], [3, 2], 3, 1),
    windows(1, 2, [1025, 3], [3, 3], 1, 1),
    windows(1, 1, [2, 1025], [2, 4], 2, 0),
];

const fn windows(
    batch: usize,
    channels: usize,
    image: [usize; 2],
    window: [usize; 2],
    step: usize,
    margin: usize,
) -> ImageWindows {
    ImageWindows {
        batch,
        channels,
        image,
        window,
        step,
        margin,
    }
}

/// For each number of the unfolded array in order, where it comes from.
fn origins(w: &ImageWindows) -> Vec<Option<usize>> {
    let [oh, ow] = w.places();
    let mut origins = Vec::new();
    for place in 0..w.batch * oh * ow {
        let (b, y, x) = (place / (oh * ow), place / ow % oh, place % ow);
        for c in 0..w.channels {
            for (i, j) in (0..w.window[0]).flat_map(|i| (0..w.window[1]).map(move |j| (i, j))) {
                let row = (y * w.step + i)
                    .checked_sub(w.margin)
                    .filter(|&r| r < w.image[0]);
                let column = (x * w.step + j)
                    .checked_sub(w.margin)
                    .filter(|&c| c < w.image[1]);
                let at = row.zip(column).map(|(row, column)| {
                    ((b * w.channels + c) * w.image[0] + row) * w.image[1] + column
                });
                origins.push(at);
            }
        }
    }
    origins
}

#[test]
fn windows_and_their_transpose() {
    let device = device();
    for w in CASES {
        let origins = origins(&w);
        let n = w.batch * w.channels * w.image[0] * w.image[1];
        let (x, u) = (numbers(n, 1), numbers(origins.len(), 2));
        let on_device = [&x, &u].map(|x| device.upload(x).expect("there is room"));
        let expected: Vec<f32> = origins
            .iter()
            .map(|at| at.map_or(0.0, |at| x[at]))
            .collect();
        let found = unfold(&on_device[0], w).and_then(|u| u.download());
        assert_eq!(bits(&found.expect("no fault")), bits(&expected), "{w:?}");
        let mut added = vec![0.0f32; n];
        for (at, u) in origins.iter().zip(&u) {
            if let Some(at) = at {
                added[*at] += u;
            }
        }
        let found = fold(&on_device[1], w).and_then(|x| x.download());
        assert_eq!(bits(&found.expect("no fault")), bits(&added), "{w:?}");
    }
}

#[test]
fn a_convolution_is_one_product() {
    let device = device();
    for w in CASES {
        let filters = 4;
        let n = w.batch * w.channels * w.image[0] * w.image[1];
        let (x, weights) = (numbers(n, 3), numbers(w.window_len() * filters, 4));
        let on_device = [&x, &weights].map(|x| device.upload(x).expect("there is room"));
        let origins = origins(&w);
        let rows = origins.chunks(w.window_len());
        let exact: Vec<f64> = rows
            .flat_map(|row| {
                (0..filters).map(|f| {
                    let terms = row.iter().enumerate().filter_map(|(k, at)| {
                        at.map(|at| f64::from(x[at]) * f64::from(weights[k * filters + f]))
                    });
                    terms.sum::<f64>()
                })
            })
            .collect();
        let out = convolve(&on_device[0], &on_device[1], filters, w, Precision::F32);
        let out = out.and_then(|out| out.download()).expect("no fault");
        close(&out, &exact, product_bound(w.window_len()));
    }
}

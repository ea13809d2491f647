//! Views, and what goes along an axis, against loops.

use crate::oracle::{bits, numbers};
use crate::place::device;
use cuda::{View, largest, read_view, running_sum, write_view};

/// The places of a view, in order.
fn places(view: &View) -> Vec<usize> {
    let mut places = vec![view.begin as isize];
    for (&extent, &step) in view.extents.iter().zip(&view.steps) {
        let further = |&at: &isize| (0..extent as isize).map(move |i| at + i * step);
        places = places.iter().flat_map(further).collect();
    }
    places.into_iter().map(|at| at as usize).collect()
}

fn view(extents: &[usize], steps: &[isize], begin: usize) -> View {
    View {
        extents: extents.to_vec(),
        steps: steps.to_vec(),
        begin,
    }
}

#[test]
fn reading_and_writing_through_views() {
    let device = device();
    let n = 1025;
    let (x, background) = (numbers(n, 1), numbers(n, 2));
    let on_device = device.upload(&x).expect("there is room");
    for view in [
        View::dense(&[5, 5, 41]),
        View::dense(&[]),
        view(&[33, 31], &[1, 33], 0), // transposed
        view(&[31], &[-33], 1024),    // reversed
        view(&[2, 1, 3, 2, 5, 7], &[7, 0, 14, 50, 100, 1], 2),
        view(&[0, 4], &[1, 1], 3),
        view(&[31], &[33], 0), // a diagonal
    ] {
        let places = places(&view);
        let expected: Vec<f32> = places.iter().map(|&at| x[at]).collect();
        let found = read_view(&on_device, &view).expect("no fault");
        assert_eq!(
            bits(&found.download().expect("no fault")),
            bits(&expected),
            "{view:?}"
        );
        let mut distinct = places.clone();
        distinct.sort_unstable();
        distinct.dedup();
        assert_eq!(
            distinct.len(),
            places.len(),
            "the views of this test can be written"
        );
        let mut y = device.upload(&background).expect("there is room");
        write_view(&mut y, &found, &view).expect("no fault");
        let mut expected = background.clone();
        for at in places {
            expected[at] = x[at];
        }
        assert_eq!(
            bits(&y.download().expect("no fault")),
            bits(&expected),
            "{view:?}"
        );
    }
    // Repeated along an axis, which only a read may be.
    let repeated = view(&[3, 4], &[0, 2], 1);
    let found = read_view(&on_device, &repeated).and_then(|y| y.download());
    let expected: Vec<f32> = places(&repeated).iter().map(|&at| x[at]).collect();
    assert_eq!(found.expect("no fault"), expected);
}

#[test]
fn a_view_beyond_its_array_is_refused() {
    let x = device().zeros(10).expect("there is room");
    for beyond in [
        view(&[11], &[1], 0),
        view(&[2], &[-1], 0),
        view(&[1; 7], &[1; 7], 0),
    ] {
        let error = read_view(&x, &beyond)
            .expect_err("it does not fit")
            .to_string();
        assert!(error.contains("expected one inside 10 numbers"), "{error}");
    }
}

#[test]
fn along_an_axis() {
    let device = device();
    for axes @ [outer, n, inner] in [
        [1, 1, 1],
        [3, 33, 5],
        [31, 4, 1],
        [2, 0, 3],
        [1, 257, 33],
        [1, 1025, 3],
        [2, 3, 1025],
    ] {
        let x = numbers(outer * n * inner, 3);
        let on_device = device.upload(&x).expect("there is room");
        let at = |o: usize, k: usize, i: usize| (o * n + k) * inner + i;
        let mut sums = [x.clone(), x.clone()];
        let mut most = vec![f32::NEG_INFINITY; outer * inner];
        for (o, i) in (0..outer).flat_map(|o| (0..inner).map(move |i| (o, i))) {
            for k in 1..n {
                sums[0][at(o, k, i)] += sums[0][at(o, k - 1, i)];
                sums[1][at(o, n - 1 - k, i)] += sums[1][at(o, n - k, i)];
            }
            for k in 0..n {
                most[o * inner + i] = most[o * inner + i].max(x[at(o, k, i)]);
            }
        }
        for (from_last, expected) in [false, true].into_iter().zip(&sums) {
            let found = running_sum(&on_device, axes, from_last).and_then(|y| y.download());
            assert_eq!(bits(&found.expect("no fault")), bits(expected), "{axes:?}");
        }
        let found = largest(&on_device, axes).and_then(|y| y.download());
        assert_eq!(bits(&found.expect("no fault")), bits(&most), "{axes:?}");
    }
    let with_nan = device.upload(&[1.0, f32::NAN, 3.0]).expect("there is room");
    let found = largest(&with_nan, [1, 3, 1]).and_then(|y| y.download());
    assert!(found.expect("no fault")[0].is_nan(), "NaN wins");
}

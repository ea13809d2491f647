//! **Window**: the square of the plane that a picture shows.

use super::axis::drawable;
use ndarray::ArrayView2;

/// A square region of the plane, in data units.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Window {
    /// Centre, first coordinate.
    pub x: f64,
    /// Centre, second coordinate.
    pub y: f64,
    /// Half the side; positive.
    pub radius: f64,
}

impl Window {
    /// The square \[-`radius`, `radius`\]².
    pub fn centred(radius: f64) -> Self {
        Self {
            x: 0.0,
            y: 0.0,
            radius,
        }
    }

    /// A square around clouds of points `[N, 2]`, together; nothing if no point
    /// is finite.
    ///
    /// A few stray points must not shrink the rest to a dot: the square holds
    /// the middle 99 % of either coordinate and half as much again on each
    /// side, or all points if that is less.
    pub fn around(clouds: &[ArrayView2<'_, f64>]) -> Option<Self> {
        let coordinate = |axis: usize| {
            let values = clouds
                .iter()
                .flat_map(|c| drawable_points(c).map(move |p| p[axis]))
                .collect();
            extent(values)
        };
        let (x, y) = (coordinate(0)?, coordinate(1)?);
        let radius = 0.5 * (x.1 - x.0).max(y.1 - y.0);
        Some(Self {
            x: 0.5 * (x.0 + x.1),
            y: 0.5 * (y.0 + y.1),
            radius: if radius > 0.0 { 1.06 * radius } else { 1.0 },
        })
    }

    /// `[x low, x high, y low, y high]`.
    pub(super) fn bounds(&self) -> [f64; 4] {
        [
            self.x - self.radius,
            self.x + self.radius,
            self.y - self.radius,
            self.y + self.radius,
        ]
    }

    pub(super) fn contains(&self, [x, y]: [f64; 2]) -> bool {
        (x - self.x).abs() <= self.radius && (y - self.y).abs() <= self.radius
    }

    /// Whether the window is a square with an inside.
    pub(super) fn is_sound(&self) -> bool {
        [self.x, self.y, self.radius].into_iter().all(drawable) && self.radius > 0.0
    }
}

/// The points of `[N, 2]` (further columns are ignored) that can be drawn.
pub(super) fn drawable_points(cloud: &ArrayView2<'_, f64>) -> impl Iterator<Item = [f64; 2]> {
    let planar = cloud.ncols() >= 2;
    (0..cloud.nrows())
        .filter(move |_| planar)
        .map(move |i| [cloud[[i, 0]], cloud[[i, 1]]])
        .filter(|p| p.iter().all(|&v| drawable(v)))
}

/// The range that [`Window::around`] shows of one coordinate.
fn extent(mut values: Vec<f64>) -> Option<(f64, f64)> {
    values.sort_by(f64::total_cmp);
    let (least, most) = (*values.first()?, *values.last()?);
    let cut = values.len() / 200;
    let (low, high) = (values[cut], values[values.len() - 1 - cut]);
    let margin = 0.5 * (high - low);
    Some(((low - margin).max(least), (high + margin).min(most)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array2;

    #[test]
    fn the_window_ignores_strays_and_what_is_not_finite() {
        let mut cloud = Array2::from_shape_fn((1000, 2), |(i, j)| {
            ((i * (3 + 4 * j)) % 1000) as f64 / 500.0 - 1.0
        });
        cloud[[0, 0]] = f64::NAN;
        cloud[[1, 1]] = 1e9;
        let window = Window::around(&[cloud.view()]).expect("finite points");
        assert!(window.radius > 1.0 && window.radius < 2.2, "{window:?}");
    }

    #[test]
    fn a_small_cloud_is_shown_whole() {
        let cloud = ndarray::array![[-1.0, 0.0], [5.0, 1.0], [0.0, 0.0]];
        let window = Window::around(&[cloud.view()]).expect("finite points");
        assert!((0..3).all(|i| window.contains([cloud[[i, 0]], cloud[[i, 1]]])));
    }

    #[test]
    fn no_finite_point_has_no_window() {
        let cloud = Array2::from_elem((4, 2), f64::NAN);
        assert!(Window::around(&[cloud.view()]).is_none());
        assert!(Window::around(&[]).is_none());
        assert!(Window::around(&[Array2::zeros((3, 1)).view()]).is_none());
    }

    #[test]
    fn one_point_has_a_window_with_an_inside() {
        let window = Window::around(&[ndarray::array![[2.0, 3.0]].view()]).expect("a point");
        assert!(window.is_sound() && window.contains([2.0, 3.0]));
    }
}

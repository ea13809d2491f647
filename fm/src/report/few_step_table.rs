//! **Few-step table**: how good samples are after how much work, on each path.

use super::markup::{escape, significant};
use super::noise_floor::NoiseFloor;
use std::fmt::Write as _;

const EXPLANATION: &str = "<p>Flow matching is often said to need fewer steps than diffusion because \
    its paths are straighter. Here both are put to the test on one target, with their exact velocity \
    fields, so that no training stands between the claim and the numbers: the straight path of flow \
    matching (FM.11) and the probability flow of the variance-preserving path of diffusion models.</p>\
    <p>The <em>NFE</em> is the number of network evaluations each sample costs. The <em>map error</em> \
    is the root mean square distance to where the exact flow would have taken the same starts. \
    <em>W2</em> is the distance between the samples and the data, and is to be read against its \
    <em>floor</em>, the distance between two samples of the data themselves. The <em>straightness</em> \
    belongs to the path: 0 is perfectly straight. The <em>energy excess</em> (MT.4) is the kinetic \
    energy the flow spends beyond the least that any flow from this noise to these data could, \
    relative to it: straight ways that cross nobody else&#39;s spend the least.</p>\
    <p>Straighter does not always mean fewer steps. On the diffusion path particles start \
    at rest and come to rest, and what Euler loses while they speed up it wins back while they slow \
    down; on the straight path they arrive at full speed, and nearly all of the error stays. Methods of \
    higher order do not see this difference. The book computes both sides, in its chapter on what is \
    not literally true. Read the map error, row by row, before you believe either side.</p>";

/// Samples of one solver on one path.
#[derive(Clone, Debug, PartialEq)]
pub struct FewStepRow {
    /// The path, for instance `straight (OT)`; rows of a path are shown together.
    pub path: String,
    /// The solver.
    pub solver: String,
    /// Steps taken; for adaptive solvers the mean number per sample, rounded.
    pub steps: usize,
    /// Function evaluations per sample; a mean for adaptive solvers.
    pub nfe: f64,
    /// Distance W2 to a sample of the data, in data units.
    pub w2: f64,
    /// What two samples of the data themselves measure.
    pub floor: NoiseFloor,
    /// Mean squared deviation of the velocity from the straight line between a
    /// particle's ends, in squared data units; 0 is straight.
    pub straightness: f64,
    /// Path energy beyond the least possible, relative to it; 0 is optimal.
    pub energy_excess: f64,
    /// Root mean square distance to the exact flow from the same starts, in
    /// data units.
    pub map_error: f64,
}

/// The table with its explanation; paths in the order of their first row.
pub(super) fn markup(rows: &[FewStepRow]) -> String {
    if rows.is_empty() {
        return format!("{EXPLANATION}<p class=\"empty\">No sampler was measured.</p>");
    }
    let mut paths: Vec<&str> = Vec::new();
    for row in rows {
        if !paths.contains(&row.path.as_str()) {
            paths.push(&row.path);
        }
    }
    let mut html = format!(
        "{EXPLANATION}<div class=\"table scrolls\" tabindex=\"0\" role=\"region\" \
         aria-label=\"Few-step table\"><table class=\"few-steps\"><thead><tr>\
         <th scope=\"col\">solver</th>"
    );
    for heading in [
        "steps",
        "NFE",
        "W2",
        "floor of W2",
        "map error",
        "straightness",
        "energy excess",
    ] {
        let _ = write!(html, "<th scope=\"col\" class=\"number\">{heading}</th>");
    }
    html.push_str("</tr></thead>");
    for path in &paths {
        html.push_str(&group(
            path,
            rows.iter().filter(|row| row.path == *path).collect(),
        ));
    }
    html.push_str(
        "</table></div><p class=\"caption\">Distances in data units, straightness in squared data \
         units. A dot (<span class=\"good\">●</span>) marks a W2 within two standard deviations of its \
         floor, where W2 cannot tell samples from data at this size.</p>",
    );
    html
}

fn group(path: &str, rows: Vec<&FewStepRow>) -> String {
    let mut html = format!(
        "<tbody><tr class=\"group\"><th colspan=\"8\" scope=\"rowgroup\">{}</th></tr>",
        escape(path)
    );
    for row in rows {
        let nfe = if row.nfe.fract() == 0.0 && row.nfe.abs() < 1e6 {
            format!("{:.0}", row.nfe)
        } else {
            significant(row.nfe, 3)
        };
        let mark = if row.floor.is_reached_by(row.w2) {
            "<span class=\"good\" role=\"img\" aria-label=\"at the floor\">●</span> "
        } else {
            ""
        };
        let _ = write!(
            html,
            "<tr><th scope=\"row\">{}</th><td class=\"number\">{}</td><td class=\"number\">{nfe}</td>\
             <td class=\"number\">{mark}{}</td><td class=\"number quiet\">{}</td>\
             <td class=\"number\">{}</td><td class=\"number\">{}</td><td class=\"number\">{}</td></tr>",
            escape(&row.solver),
            row.steps,
            significant(row.w2, 3),
            row.floor,
            significant(row.map_error, 2),
            significant(row.straightness, 3),
            significant(row.energy_excess, 2)
        );
    }
    html.push_str("</tbody>");
    html
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::report) fn row(path: &str, solver: &str, nfe: f64, w2: f64) -> FewStepRow {
        FewStepRow {
            path: path.to_owned(),
            solver: solver.to_owned(),
            steps: 8,
            nfe,
            w2,
            floor: NoiseFloor {
                mean: 0.18,
                std: 0.01,
            },
            straightness: 0.9,
            energy_excess: 0.1,
            map_error: 0.12,
        }
    }

    #[test]
    fn rows_of_a_path_stand_together() {
        let rows = [
            row("OT", "Euler", 8.0, 0.4),
            row("VP", "Euler", 8.0, 0.9),
            row("OT", "RK4", 16.0, 0.19),
        ];
        let html = markup(&rows);
        let place = |text: &str| html.find(text).expect(text);
        assert!(place("RK4") < place(">VP<"));
        assert_eq!(html.matches("class=\"group\"").count(), 2);
    }

    #[test]
    fn every_w2_has_its_floor_and_a_mark_where_it_is_reached() {
        let html = markup(&[row("OT", "a", 8.0, 0.19), row("OT", "b", 8.0, f64::NAN)]);
        assert_eq!(html.matches("0.180\u{a0}±\u{a0}0.010").count(), 2);
        assert_eq!(html.matches("at the floor").count(), 1);
        assert!(html.contains("not a number"));
        assert!(markup(&[]).contains("No sampler was measured"));
    }

    #[test]
    fn a_mean_number_of_evaluations_is_not_rounded_away() {
        let html = markup(&[row("OT", "a", 31.4, 0.2), row("OT", "b", 16.0, 0.2)]);
        assert!(html.contains(">31.4<") && html.contains(">16<"));
    }
}

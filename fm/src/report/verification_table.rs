//! **Verification table**: what was checked, how well it held, and whether the
//! check can fail at all.

use super::markup::{escape, significant};
use std::fmt::Write as _;

const EXPLANATION: &str = "<p>Each row below was computed while this page was made. The \
    <em>residual</em> is by how much the two sides of the equation differ. A small number alone \
    proves little, so where derivatives are replaced by differences of width <i>h</i>, the residual \
    must also shrink like <i>h</i> to the power of the expected <em>order</em>: a wrong sign or factor \
    would leave a residual that stops shrinking. And a check that accepts everything is worthless, so each is \
    also run on an equation made wrong on purpose, its <em>control</em>, which it must reject.</p>";

/// One checked claim.
#[derive(Clone, Debug, PartialEq)]
pub struct VerificationRow {
    /// The equation, for instance `FM.2`.
    pub equation: String,
    /// What it claims, in one line of plain text.
    pub claim: String,
    /// By how much it failed to hold; the unit depends on the claim.
    pub residual: f64,
    /// The power of the step width with which the residual must fall, where
    /// the check refines a width.
    pub expected_order: Option<f64>,
    /// The power that was measured.
    pub observed_order: Option<f64>,
    /// Whether the deliberately wrong twin of the claim was rejected.
    pub control_rejected: bool,
    /// Whether the claim passed its own test.
    pub pass: bool,
}

impl VerificationRow {
    /// Whether the claim holds and its check is worth something: it passed,
    /// its control was rejected, and its residual is a number.
    pub fn verified(&self) -> bool {
        self.pass && self.control_rejected && self.residual.is_finite()
    }
}

/// How many different equations the rows speak of, and how many of them are
/// verified in every row: `(verified, all)`.
pub(super) fn tally(rows: &[VerificationRow]) -> (usize, usize) {
    let mut equations: Vec<(&str, bool)> = Vec::new();
    for row in rows {
        match equations.iter_mut().find(|(name, _)| *name == row.equation) {
            Some((_, verified)) => *verified &= row.verified(),
            None => equations.push((&row.equation, row.verified())),
        }
    }
    let verified = equations.iter().filter(|(_, v)| *v).count();
    (verified, equations.len())
}

/// The table with its explanation.
///
/// Roles are written out because narrow screens lay the rows out as cards,
/// and browsers forget what a table is once its layout changes.
pub(super) fn markup(rows: &[VerificationRow]) -> String {
    if rows.is_empty() {
        return format!("{EXPLANATION}<p class=\"empty\">No equation was checked.</p>");
    }
    let mut html = format!(
        "{EXPLANATION}<div class=\"table\"><table class=\"verification\" role=\"table\" \
         aria-label=\"Verified equations\"><thead role=\"rowgroup\"><tr role=\"row\">"
    );
    for heading in [
        "equation", "claim", "residual", "order", "control", "verdict",
    ] {
        let _ = write!(
            html,
            "<th role=\"columnheader\" scope=\"col\">{heading}</th>"
        );
    }
    html.push_str("</tr></thead><tbody role=\"rowgroup\">");
    for row in rows {
        html.push_str(&row_markup(row));
    }
    html.push_str("</tbody></table></div>");
    html
}

fn row_markup(row: &VerificationRow) -> String {
    let (class, verdict) = if row.verified() {
        ("holds", "<span class=\"good\">✓ holds</span>")
    } else {
        ("fails", "<span class=\"bad\">✗ fails</span>")
    };
    let control = if row.control_rejected {
        "rejected"
    } else {
        "<span class=\"bad\">accepted</span>"
    };
    format!(
        "<tr role=\"row\" class=\"{class}\"><th role=\"rowheader\" scope=\"row\">({})</th>\
         <td role=\"cell\" class=\"claim\">{}</td>\
         <td role=\"cell\" class=\"number\" data-label=\"residual\">{}</td>\
         <td role=\"cell\" class=\"number\" data-label=\"order\">{}</td>\
         <td role=\"cell\" data-label=\"control\">{control}</td>\
         <td role=\"cell\" class=\"verdict\">{verdict}</td></tr>",
        escape(&row.equation),
        escape(&row.claim),
        significant(row.residual, 2),
        order(row.expected_order, row.observed_order)
    )
}

/// `2.00 (expected 2)`; a dash where no order is claimed.
fn order(expected: Option<f64>, observed: Option<f64>) -> String {
    // Negative orders exist: a Monte Carlo error falls with the square root
    // of the number of samples.
    let expected = expected.map(|p| format!("{p}").replace('-', "−"));
    match (expected, observed) {
        (None, None) => "<span class=\"quiet\">—</span>".to_owned(),
        (None, Some(p)) => measured(p),
        (Some(e), None) => format!("not measured <span class=\"quiet\">(expected {e})</span>"),
        (Some(e), Some(p)) => format!(
            "{} <span class=\"quiet\">(expected {e})</span>",
            measured(p)
        ),
    }
}

/// A measured order: two decimals, since claims are held to a tenth.
fn measured(order: f64) -> String {
    if order.is_finite() {
        format!("{order:.2}").replace('-', "−")
    } else {
        significant(order, 3)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::report) fn row(equation: &str, pass: bool) -> VerificationRow {
        VerificationRow {
            equation: equation.to_owned(),
            claim: "two sides <agree>".to_owned(),
            residual: 3.4e-9,
            expected_order: Some(2.0),
            observed_order: Some(2.001),
            control_rejected: true,
            pass,
        }
    }

    #[test]
    fn a_claim_is_verified_only_if_its_control_is_rejected() {
        assert!(row("FM.2", true).verified());
        assert!(!row("FM.2", false).verified());
        let mut accepted = row("FM.2", true);
        accepted.control_rejected = false;
        assert!(!accepted.verified());
        let mut lost = row("FM.2", true);
        lost.residual = f64::NAN;
        assert!(!lost.verified());
    }

    #[test]
    fn an_equation_counts_once_and_needs_all_its_rows() {
        let rows = [
            row("FM.2", true),
            row("FM.2", false),
            row("FM.3", true),
            row("FM.3", true),
        ];
        assert_eq!(tally(&rows), (1, 2));
        assert_eq!(tally(&[]), (0, 0));
    }

    #[test]
    fn failures_are_told_in_words() {
        let mut failed = row("FM.2", true);
        failed.control_rejected = false;
        failed.observed_order = None;
        let mut lost = row("FM.3", false);
        lost.observed_order = Some(f64::NAN);
        let html = markup(&[failed, lost]);
        assert!(html.contains("not a number <span"));
        assert!(html.contains("✗ fails") && html.contains("accepted"));
        assert!(html.contains("not measured") && html.contains("two sides &lt;agree&gt;"));
        assert!(markup(&[]).contains("No equation was checked"));
    }
}

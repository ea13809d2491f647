//! A **figure**: a picture with what a reader needs to understand it.

use super::markup::{counted, escape};

/// A finished picture: title, explanation, drawing, caption and notes.
///
/// Figures are made by the pictures of this module
/// ([`Scatter::figure`](super::Scatter::figure) and its siblings) and put
/// into a [`Report`](super::Report), which numbers them.
#[derive(Clone, Debug)]
pub struct Figure {
    title: String,
    explanation: &'static str,
    drawing: String,
    caption: String,
    notes: Vec<String>,
}

impl Figure {
    /// `explanation` and `drawing` are markup; `title`, `caption` and `notes`
    /// are plain text.
    pub(super) fn new(
        title: &str,
        explanation: &'static str,
        drawing: String,
        caption: String,
    ) -> Self {
        Self {
            title: title.to_owned(),
            explanation,
            drawing,
            caption,
            notes: Vec::new(),
        }
    }

    /// A figure with nothing to show, which says why.
    pub(super) fn empty(title: &str, explanation: &'static str, reason: &str) -> Self {
        let drawing = empty_picture(reason);
        Self::new(title, explanation, drawing, String::new())
    }

    pub(super) fn with_note(mut self, note: Option<String>) -> Self {
        self.notes.extend(note);
        self
    }

    pub(super) fn explanation(&self) -> &'static str {
        self.explanation
    }

    /// The figure as markup; `explain` is false where an earlier figure of the
    /// same kind has explained it already.
    pub(super) fn markup(&self, number: usize, explain: bool) -> String {
        let mut html = format!("<figure><h3>{}</h3>", escape(&self.title));
        if explain {
            html.push_str(self.explanation);
        }
        html.push_str(&self.drawing);
        html.push_str("<figcaption>");
        html.push_str(&format!(
            "<p><b>Figure {number}.</b> {}</p>",
            escape(&self.caption)
        ));
        for note in &self.notes {
            html.push_str(&format!("<p class=\"note\">{}</p>", escape(note)));
        }
        html.push_str("</figcaption></figure>");
        html
    }
}

/// What stands in the place of a picture that cannot be drawn.
pub(super) fn empty_picture(reason: &str) -> String {
    let reason = escape(reason);
    format!("<p class=\"empty\" role=\"img\" aria-label=\"No picture: {reason}\">{reason}</p>")
}

/// The note about values that could not be drawn because they are not finite.
pub(super) fn dropped(n: usize, noun: &str) -> Option<String> {
    (n > 0).then(|| {
        format!(
            "Not drawn: {} that {} not finite. Something upstream has diverged.",
            counted(n, noun),
            if n == 1 { "is" } else { "are" }
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_escapes_what_it_is_given() {
        let figure = Figure::new("a<b", "<p>why</p>", String::new(), "x&y".into())
            .with_note(dropped(1, "point"));
        let html = figure.markup(3, true);
        assert!(html.contains("a&lt;b") && html.contains("x&amp;y") && html.contains("<p>why</p>"));
        assert!(html.contains("1 point that is not finite"));
        assert!(!figure.markup(3, false).contains("why"));
    }

    #[test]
    fn nothing_dropped_leaves_no_note() {
        assert!(dropped(0, "point").is_none());
    }
}

//! **HTML**: the page around the pictures.
//!
//! One file with nothing outside it: no script, no font, no address. A content
//! security policy in its head holds the browser to that. The markup is also
//! well-formed XML, which the tests check.

use super::markup::escape;
use super::palette;
use super::{Block, Chapter, Report, few_step_table, verification_table};
use std::fmt::Write as _;

const STYLE: &str = include_str!("report.css");

/// What the page says before anything is shown.
const PREFACE: &str = "<p>Flow matching turns noise into data by letting it flow. A network learns a \
    <em>velocity field</em>: at every place <i>x</i> and time <i>t</i>, which way to move and how fast. To \
    draw a sample, start at a random point at <i>t</i> = 0 and follow the arrows until <i>t</i> = 1.</p>\
    <dl class=\"symbols\">\
    <div><dt><i>t</i></dt><dd>time; 0 is noise, 1 is data</dd></div>\
    <div><dt><i>x</i><sub>0</sub>, <i>x</i><sub>1</sub></dt><dd>a noise point, a datum</dd></div>\
    <div><dt><i>p</i><sub><i>t</i></sub>(<i>x</i>)</dt><dd>density of the particles at time <i>t</i></dd></div>\
    <div><dt><i>v</i><sub><i>t</i></sub>(<i>x</i>)</dt><dd>velocity of a particle at <i>x</i></dd></div></dl>\
    <p>A number in brackets, like (FM.2), names an equation; the same mark stands beside the line of code \
    that computes it and the test that checks it.</p>";

/// The whole page.
pub(super) fn page(report: &Report) -> String {
    let title = escape(report.title());
    let mut html = format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"/>\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\
         <meta name=\"color-scheme\" content=\"light dark\"/>\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src &#39;none&#39;; \
         style-src &#39;unsafe-inline&#39;; img-src data:\"/>\
         <title>{title}</title>\n<style>\n{}{STYLE}</style></head>\n<body><main>\n",
        palette::variables()
    );
    let _ = write!(
        html,
        "<header><h1>{title}</h1>{}</header>\n{PREFACE}",
        verdict(report)
    );
    html.push_str(&contents(report.chapters()));
    let mut figures = 0;
    let mut explained: Vec<&'static str> = Vec::new();
    for (i, chapter) in report.chapters().iter().enumerate() {
        html.push_str(&chapter_markup(i, chapter, &mut figures, &mut explained));
    }
    let _ = write!(
        html,
        "<footer><p>Seed {}. The same seed makes the same page, byte for byte.</p></footer>\n\
         </main></body></html>\n",
        report.seed()
    );
    html
}

fn verdict(report: &Report) -> String {
    let (verified, all) = report.tally();
    let (class, mark) = if all > 0 && verified == all {
        ("good", "✓ ")
    } else if all == 0 {
        ("quiet", "")
    } else {
        ("bad", "✗ ")
    };
    format!(
        "<p class=\"summary {class}\">{mark}{}</p>",
        escape(&report.summary())
    )
}

fn contents(chapters: &[Chapter]) -> String {
    if chapters.is_empty() {
        return "<p class=\"empty\">This report has no chapters.</p>".to_owned();
    }
    let mut html = String::from("<nav aria-label=\"Contents\"><ol>");
    for (i, chapter) in chapters.iter().enumerate() {
        let _ = write!(
            html,
            "<li><a href=\"#chapter-{}\">{}</a></li>",
            i + 1,
            escape(&chapter.heading)
        );
    }
    html.push_str("</ol></nav>\n");
    html
}

/// One chapter. Figures are numbered through the page, and what explains a
/// kind of figure is said at its first.
fn chapter_markup(
    index: usize,
    chapter: &Chapter,
    figures: &mut usize,
    explained: &mut Vec<&'static str>,
) -> String {
    let number = index + 1;
    let mut html = format!(
        "<section id=\"chapter-{number}\"><h2>{number}. {}</h2>",
        escape(&chapter.heading)
    );
    if !chapter.introduction.is_empty() {
        let _ = write!(html, "<p>{}</p>", escape(&chapter.introduction));
    }
    for block in &chapter.blocks {
        match block {
            Block::Verification(rows) => html.push_str(&verification_table::markup(rows)),
            Block::FewSteps(rows) => html.push_str(&few_step_table::markup(rows)),
            Block::Text(text) => {
                let _ = write!(html, "<p>{}</p>", escape(text));
            }
            Block::Figure(figure) => {
                *figures += 1;
                let explain = !explained.contains(&figure.explanation());
                explained.push(figure.explanation());
                html.push_str(&figure.markup(*figures, explain));
            }
        }
    }
    html.push_str("</section>\n");
    html
}

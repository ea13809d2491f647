//! **Report**: the guided tour as one file that a browser can open anywhere.
//!
//! A [`Report`] is a list of [`Chapter`]s; a chapter holds tables, text and
//! [`Figure`]s. Each kind of picture has a file of its own, takes plain arrays,
//! and comes with the words a newcomer needs to read it:
//!
//! | file | shows |
//! |---|---|
//! | `scatter.rs` | clouds of points side by side |
//! | `field_over_density.rs` | velocity arrows over the density, at several times |
//! | `trajectories.rs` | the ways of particles from noise to data |
//! | `loss_curve.rs` | training loss against the irreducible loss |
//! | `error_against_nfe.rs` | error against work, for several solvers |
//! | `digit_grid.rs` | drawn digits beside real ones |
//! | `verification_table.rs` | equations, residuals, orders, controls |
//! | `few_step_table.rs` | quality after few steps, path by path |
//!
//! They stand on `axis.rs` (values to places), `palette.rs` (colours for
//! everyone, light and dark), `markup.rs` (text and numbers), `raster.rs` (PNG) and
//! `html.rs` (the page).
//!
//! # Promises
//! * *Deterministic.* No clock, path or machine enters the page: the same
//!   input gives the same bytes.
//! * *Alone.* Nothing is fetched; the file can be mailed.
//! * *Unbreakable.* Text is escaped; values that are not finite are left out with a
//!   visible note; where there is nothing to draw, the page says so.
//!
//! ```
//! use fm::report::{LossCurve, LossScale, Report};
//!
//! let curve = LossCurve {
//!     title: "Learning the moons",
//!     steps: &[1.0, 2.0, 3.0],
//!     loss: &[6.0, 4.5, 4.0],
//!     floor: Some(3.76),
//!     scale: LossScale::Linear,
//! };
//! let mut report = Report::new("A small tour", 7);
//! report.chapter("Training", "Two moons.").figure(curve.figure());
//! assert!(report.to_html().contains("Figure 1."));
//! ```

mod axis;
mod digit_grid;
mod error_against_nfe;
#[cfg(test)]
mod example;
mod few_step_table;
mod field_over_density;
mod figure;
mod html;
mod loss_curve;
mod markup;
mod noise_floor;
mod palette;
mod raster;
mod scatter;
mod trajectories;
mod verification_table;
mod window;

pub use digit_grid::{DigitGrids, DigitPanel, DigitScores, PixelRange, digit_grid_png};
pub use error_against_nfe::{ErrorAgainstNfe, ErrorQuantity, SolverSeries};
pub use few_step_table::FewStepRow;
pub use field_over_density::{FieldOverDensity, FieldSnapshot, Lattice};
pub use figure::Figure;
pub use loss_curve::{LossCurve, LossScale};
pub use noise_floor::NoiseFloor;
pub use scatter::{Cloud, MeasuredDistance, Scatter, ScatterPanel, scatter_png};
pub use trajectories::Trajectories;
pub use verification_table::VerificationRow;
pub use window::Window;

use std::io::{self, Write as _};
use std::path::Path;

/// A page in the making.
#[derive(Clone, Debug)]
pub struct Report {
    title: String,
    seed: u64,
    chapters: Vec<Chapter>,
}

/// A numbered part of a [`Report`].
#[derive(Clone, Debug)]
pub struct Chapter {
    heading: String,
    introduction: String,
    blocks: Vec<Block>,
}

/// What a chapter is made of, in the order of reading.
#[derive(Clone, Debug)]
enum Block {
    Verification(Vec<VerificationRow>),
    FewSteps(Vec<FewStepRow>),
    Figure(Figure),
    Text(String),
}

impl Report {
    /// An empty report. The seed is printed, so that a reader can make the
    /// same page again.
    pub fn new(title: &str, seed: u64) -> Self {
        Self {
            title: title.to_owned(),
            seed,
            chapters: Vec::new(),
        }
    }

    /// Begins a chapter with a heading and a plain paragraph, which may be
    /// empty; the result takes what belongs in it.
    pub fn chapter(&mut self, heading: &str, introduction: &str) -> &mut Chapter {
        self.chapters.push(Chapter {
            heading: heading.to_owned(),
            introduction: introduction.to_owned(),
            blocks: Vec::new(),
        });
        let last = self.chapters.len() - 1;
        &mut self.chapters[last]
    }

    /// `verified N of N equations`, over all verification tables. An equation
    /// counts once, and is verified if every row about it is
    /// ([`VerificationRow::verified`]).
    pub fn summary(&self) -> String {
        let (verified, all) = self.tally();
        format!("verified {verified} of {all} equations")
    }

    /// The page.
    pub fn to_html(&self) -> String {
        html::page(self)
    }

    /// Writes the page to `path`, whose folder is created if need be.
    ///
    /// The file appears whole or not at all: the page goes to a temporary file
    /// in the same folder, which then takes the name.
    ///
    /// # Errors
    /// Whatever the operating system refuses: creating the folder, writing, renaming.
    pub fn write(&self, path: &Path) -> Result<(), io::Error> {
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        std::fs::create_dir_all(folder)?;
        let mut builder = tempfile::Builder::new();
        builder.prefix(".report-").suffix(".partial");
        // Temporary files are private; a report is as public as any other file,
        // less what the user's mask forbids.
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        let mut file = builder.tempfile_in(folder)?;
        file.write_all(self.to_html().as_bytes())?;
        file.as_file().sync_all()?;
        file.persist(path)?;
        Ok(())
    }

    fn title(&self) -> &str {
        &self.title
    }

    fn seed(&self) -> u64 {
        self.seed
    }

    fn chapters(&self) -> &[Chapter] {
        &self.chapters
    }

    /// (verified, all) equations of every verification table together.
    fn tally(&self) -> (usize, usize) {
        let rows: Vec<VerificationRow> = self
            .chapters
            .iter()
            .flat_map(|chapter| &chapter.blocks)
            .filter_map(|block| match block {
                Block::Verification(rows) => Some(rows),
                _ => None,
            })
            .flatten()
            .cloned()
            .collect();
        verification_table::tally(&rows)
    }
}

impl Chapter {
    /// Adds a table of verified equations.
    pub fn verification(&mut self, rows: &[VerificationRow]) -> &mut Self {
        self.add(Block::Verification(rows.to_vec()))
    }

    /// Adds a few-step table, grouped by path.
    pub fn few_steps(&mut self, rows: &[FewStepRow]) -> &mut Self {
        self.add(Block::FewSteps(rows.to_vec()))
    }

    /// Adds a picture.
    pub fn figure(&mut self, figure: Figure) -> &mut Self {
        self.add(Block::Figure(figure))
    }

    /// Adds a paragraph of plain text.
    pub fn text(&mut self, text: &str) -> &mut Self {
        self.add(Block::Text(text.to_owned()))
    }

    fn add(&mut self, block: Block) -> &mut Self {
        self.blocks.push(block);
        self
    }
}

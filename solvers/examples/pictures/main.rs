//! Four pictures of solvers, written to `out/solvers/` as SVG:
//!
//! * an orbit that closes only if every digit is right (Arenstorf's);
//! * errors over steps, whose slopes are the orders;
//! * the regions of linear stability;
//! * the work that a precision costs.
//!
//! `cargo run --release -p flowgrad-solvers --example pictures`

mod orbit;
mod order;
mod picture;
mod stability_regions;
mod work_precision;

use std::path::Path;

fn main() -> std::io::Result<()> {
    let folder = Path::new("out/solvers");
    std::fs::create_dir_all(folder)?;
    for (name, svg) in [
        ("orbit", orbit::draw()),
        ("order", order::draw()),
        ("stability", stability_regions::draw()),
        ("work_precision", work_precision::draw()),
    ] {
        let file = folder.join(format!("{name}.svg"));
        std::fs::write(&file, svg)?;
        println!("wrote {}", file.display());
    }
    Ok(())
}

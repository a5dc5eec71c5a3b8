//! `zonemeter prices`: a rules file with what a gigabyte costs in a region, out of AWS's own price
//! lists.

use anyhow::Result;
use zonemeter_io::output;
use zonemeter_networks::prices::{self, PricesArgs};

use crate::args::complaint;

/// Writes the rules file to the standard output; what the lists lack is said on standard error.
///
/// # Errors
/// As [`prices::write`].
pub fn run(args: &PricesArgs) -> Result<()> {
    let (text, notes) = prices::write(args)?;
    for note in notes {
        complaint::say(&note);
    }
    output::print(&text)
}

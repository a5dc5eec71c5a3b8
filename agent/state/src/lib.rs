//! Totals that outlive the process, in one file of the state directory.
//!
//! ```text
//! zonemeter totals 2           the format's version, as a line
//! frame: node, boot            whose totals, and since which start of the machine
//! frame: step from nothing     all totals as of one drain
//! frame: step                  what the next drain changed
//! …
//! ```
//!
//! [`directory`] locks and reads, [`writer`] appends a step for each drain and now and then puts a
//! new file in the old one's place, [`frame`] tells a damaged file from one that was being appended to
//! when its writer was killed, [`record`] is what a step looks like, [`host`] the node's own part of it, [`change`] what two lists of
//! series differ by.
//!
//! A file that cannot be used is renamed and never deleted.

mod change;
pub mod directory;
mod file;
mod frame;
mod host;
mod record;
#[cfg(test)]
mod tests;
pub mod writer;

pub use directory::{Found, StateDir};
pub use writer::Writer;

//! `cargo xtask ci`: what must hold before a change lands, `lint` and then `test`. In one process,
//! so that programs of others that tests need are built from the first second on.

use anyhow::Result;

use crate::{lint, test};

/// The command.
pub(crate) fn run() -> Result<()> {
    let others = test::Others::start()?;
    lint::run()?;
    test::run_with(&test::Args::default(), others)
}

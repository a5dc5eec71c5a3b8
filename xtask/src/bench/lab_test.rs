//! `cargo xtask bench series` and `bench neighbours`: a test of the lab that also measures, with a
//! release build of the agent.

use anyhow::{Context as _, Result, ensure};

use crate::{
    privilege::Privilege,
    progress,
    test::{Run, build_tests},
};

/// Runs the test program of the lab called `name`; with `write` it records what it measured.
pub(super) fn run(name: &str, write: bool) -> Result<()> {
    let tests = progress::step("building the tests", build_tests)?;
    let name = format!("tests: {name}");
    let found = tests.iter().find(|test| test.name == name);
    let test = found.with_context(|| format!("there is no test program {name}"))?;
    let run = Run::as_root(test, &[], Privilege::find())?.context("it has no tests")?;
    let mut run = run
        .env("ZONEMETER_BIN", super::binary()?)
        .env("ZONEMETER_FULL_SIZE", "1".into());
    if write {
        run = run.env("ZONEMETER_UPDATE_DOCS", "1".into());
    }
    ensure!(run.execute()?.failed == 0, "the test failed");
    Ok(())
}

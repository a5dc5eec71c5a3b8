//! `cargo xtask bench series`: the lab's test of many pairs, with a release build of the agent.

use anyhow::{Context as _, Result, ensure};

use crate::{
    privilege::Privilege,
    progress, repository,
    test::{Run, build_tests},
};

/// The test program that measures.
const TEST: &str = "tests: cardinality";

pub(super) fn run(write: bool) -> Result<()> {
    let tests = progress::step("building the tests", build_tests)?;
    let found = tests.iter().find(|test| test.name == TEST);
    let test = found.with_context(|| format!("there is no test program {TEST}"))?;
    let run = Run::as_root(test, None, Privilege::find())?.context("it has no tests")?;
    let agent = repository::release_folder()?.join("zonemeter");
    let mut run = run.env("ZONEMETER_BIN", agent);
    if write {
        run = run.env("ZONEMETER_UPDATE_DOCS", "1".into());
    }
    ensure!(run.execute()?.failed == 0, "the test failed");
    Ok(())
}

//! `cargo xtask removals`: shows that the tests of a handling fail when the handling is removed.
//!
//! `table` has an entry for each handling: where it is in the sources, what stands there once it
//! is taken out, and which tests must fail then. A test that has only ever passed may look away;
//! one that fails without the handling cannot. The command works in a copy of the working tree.
//!
//! That the table fits the sources is a unit test of this file, so it holds with every change.
//! That the tests fail is tried by whoever runs the command, which takes minutes.

use std::{collections::BTreeSet, fs};

use anyhow::{Context, Result, bail};

use crate::{progress, repository, setup};

mod removal;
mod report;
mod table;
mod tree;
mod trial;

use removal::{Removal, TestAt};
use report::Row;
use tree::Tree;
use trial::Verdict;

/// The generated page.
const PAGE: &str = "docs/removals.md";

/// What to try.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Only entries whose name contains one of these
    names: Vec<String>,
    /// Record what was found in docs/removals.md; entries that are not tried keep their rows
    #[arg(long)]
    write: bool,
    /// Only name the entries
    #[arg(long)]
    list: bool,
}

/// The command.
pub(crate) fn run(args: &Args) -> Result<()> {
    let chosen: Vec<&Removal> = table::all().filter(|one| fits(one, args)).collect();
    if chosen.is_empty() {
        bail!("no entry has that in its name; `--list` names all");
    }
    if args.list {
        let say = |one: &&Removal| progress::say(&format!("{}: {}", one.name, one.handling));
        chosen.iter().for_each(say);
        return Ok(());
    }
    setup::ensure()?;
    let tree = Tree::copy()?;
    chosen.iter().try_for_each(|one| one.check(tree.root()))?;
    progress::step("all of it as it is", || as_it_is(&tree, &chosen))?;
    let mut rows = Vec::new();
    for one in chosen {
        rows.push(try_one(&tree, one)?);
        if args.write {
            // At once: whoever interrupts this keeps what was found.
            write(&rows)?;
        }
    }
    progress::say(&report::text(&rows));
    match rows.iter().filter(|row| !row.is_noticed()).count() {
        0 => Ok(()),
        count => bail!("{count} removals were not noticed"),
    }
}

fn fits(removal: &Removal, args: &Args) -> bool {
    let mut names = args.names.iter();
    names.len() == 0 || names.any(|name| removal.name.contains(name.as_str()))
}

/// A test that fails anyway says nothing.
fn as_it_is(tree: &Tree, chosen: &[&Removal]) -> Result<()> {
    let tests: BTreeSet<TestAt> = chosen.iter().flat_map(|one| one.tests).copied().collect();
    let tests: Vec<TestAt> = tests.into_iter().collect();
    let verdicts = trial::run(tree, &tests)?;
    for (test, verdict) in tests.iter().zip(verdicts) {
        if verdict != Verdict::Passed {
            bail!("{} with nothing taken out: {verdict}", test.function);
        }
    }
    progress::say(&format!("    {} tests pass", tests.len()));
    Ok(())
}

fn try_one<'a>(tree: &Tree, removal: &'a Removal) -> Result<Row<'a>> {
    let work = || trial::run(tree, removal.tests);
    progress::judged_step(
        &format!("{}: {}", removal.name, removal.removed),
        || {
            let verdicts = tree.without(removal.edits, work)?;
            for (test, verdict) in removal.tests.iter().zip(&verdicts) {
                progress::say(&format!("    {}: {verdict}", test.function));
            }
            Ok(Row { removal, verdicts })
        },
        Row::is_noticed,
    )
}

fn write(rows: &[Row]) -> Result<()> {
    let page = repository::root().join(PAGE);
    let before = fs::read_to_string(&page).unwrap_or_default();
    fs::write(&page, report::page(table::all(), rows, &before))
        .with_context(|| format!("writing {PAGE}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_entry_fits_the_sources() {
        let misfits = table::all().filter_map(|one| one.check(&repository::root()).err());
        let misfits: Vec<String> = misfits.map(|error| format!("{error:#}")).collect();
        assert!(misfits.is_empty(), "{}", misfits.join("\n"));
    }

    #[test]
    fn names_are_unique() {
        let names: BTreeSet<&str> = table::all().map(|one| one.name).collect();
        assert_eq!(names.len(), table::all().count());
    }

    #[test]
    fn the_page_is_of_this_table() {
        let page = fs::read_to_string(repository::root().join(PAGE)).unwrap();
        let is_noticed = |one: &Removal| {
            let row = report::row_of(&page, one);
            row.is_some_and(|row| !row.contains("**"))
        };
        let stale = table::all().filter(|one| !is_noticed(one));
        let stale: Vec<&str> = stale.map(|one| one.name).collect();
        assert!(
            stale.is_empty(),
            "cargo xtask removals --write {}",
            stale.join(" ")
        );
        let rows = page.lines().filter(|line| line.starts_with("| ")).count();
        assert_eq!(
            rows,
            table::all().count() + 2,
            "a row of an entry that is gone"
        );
    }
}

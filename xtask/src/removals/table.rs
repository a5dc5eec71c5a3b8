//! Every handling that is proven to be tested, by where it comes from.

use super::removal::{Edit, Removal, TestAt};

mod agent;
mod server;
mod who;

/// All entries, in the order of the page.
pub(super) fn all() -> impl Iterator<Item = &'static Removal> {
    let parts = [server::ENTRIES, who::ENTRIES, agent::ENTRIES];
    parts.into_iter().flatten()
}

/// `find` is to be `replace` in `file`.
const fn edit(file: &'static str, find: &'static str, replace: &'static str) -> Edit {
    Edit {
        file,
        find,
        replace,
    }
}

/// The test `function` in `file`.
const fn test(file: &'static str, function: &'static str) -> TestAt {
    TestAt { file, function }
}

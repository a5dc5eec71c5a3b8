//! The state directory: what is refused, and what is removed.

use std::fs;

use crate::StateDir;

/// What cannot be read may yet be there: to begin at 0 would lose it.
#[test]
fn totals_that_cannot_be_read_are_an_error() {
    let directory = tempfile::tempdir().unwrap();
    let totals = directory.path().join("totals");
    fs::create_dir(&totals).unwrap();
    let state = StateDir::open(directory.path()).unwrap();
    let line = format!("{:#}", state.restore("node-1").unwrap_err());
    let expected = format!("--state-dir: {} cannot be used: ", totals.display());
    assert!(line.starts_with(&expected), "{line}");
}

#[test]
fn a_directory_that_cannot_be_written_to_is_an_error() {
    let directory = tempfile::tempdir().unwrap();
    // Where a file would be made.
    fs::create_dir(directory.path().join("totals.new")).unwrap();
    let state = StateDir::open(directory.path()).unwrap();
    let line = format!("{:#}", state.restore("node-1").unwrap_err());
    let path = directory.path().display();
    let expected = format!("--state-dir: {path} cannot be used: ");
    assert!(line.starts_with(&expected), "{line}");
}

#[test]
fn what_agents_wrote_is_removed_and_nothing_of_others() {
    let parent = tempfile::tempdir().unwrap();
    let path = parent.path().join("state");
    fs::create_dir(&path).unwrap();
    let names = ["totals", "totals.new", "totals.refused-7", "totals.copy"];
    for name in names {
        fs::write(path.join(name), "").unwrap();
    }
    assert_eq!(StateDir::open(&path).unwrap().remove().unwrap(), 3);
    let left = fs::read_dir(&path).unwrap();
    let left: Vec<_> = left.map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["totals.copy"]);
    // The directory goes once nothing else is in it.
    fs::remove_file(path.join("totals.copy")).unwrap();
    assert_eq!(StateDir::open(&path).unwrap().remove().unwrap(), 0);
    assert!(!path.exists());
}

//! The parts of `docs/services.md` that tests write: each stands between two comments with its
//! name.

use std::{env, fs};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/services.md");
/// Set to any value, tests write their parts.
const UPDATE: &str = "ZONEMETER_UPDATE_DOCS";

/// Fails where the part differs from `text`, after writing it where that is wanted.
pub(crate) fn check(part: &str, text: &str) {
    update(part, text);
    let document = fs::read_to_string(FILE).unwrap();
    let (_, found, _) = split(&document, part);
    assert!(
        found == text,
        "docs/services.md differs from what was shown ({UPDATE}=1 writes it):\n{text}"
    );
}

/// Writes a part that differs from run to run, where that is wanted.
pub(crate) fn update(part: &str, text: &str) {
    if env::var_os(UPDATE).is_some() {
        let document = fs::read_to_string(FILE).unwrap();
        let (before, _, after) = split(&document, part);
        fs::write(FILE, format!("{before}{text}{after}")).unwrap();
    }
}

/// The document before a part, the part, and the rest.
fn split<'a>(document: &'a str, part: &str) -> (&'a str, &'a str, &'a str) {
    let begin = format!("<!-- {part}: written by tests/tests/services -->\n\n");
    let end = format!("\n<!-- end of {part} -->\n");
    let start = document.find(&begin).unwrap() + begin.len();
    let stop = start + document[start..].find(&end).unwrap();
    (
        &document[..start],
        &document[start..stop],
        &document[stop..],
    )
}

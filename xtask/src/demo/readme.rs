//! Whether README.md shows what the demo prints: word for word, numbers apart.

use std::fs;

use anyhow::{Context, Result, ensure};

use crate::repository;

/// Stands for a number, with its unit where that follows it.
const NUMBER: &str = "#";
const UNITS: [&str; 6] = ["B", "kB", "MB", "GB", "TB", "PB"];

/// Fails with both texts where the README's blocks of output are not of the form of `printed`.
pub(super) fn compare(printed: &[String]) -> Result<()> {
    let path = repository::root().join("README.md");
    let text = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
    let shown = form(text_blocks(&text));
    let printed = form(printed.iter().map(String::as_str));
    ensure!(
        shown == printed,
        "README.md shows another output than the demo's, numbers apart. The demo's is\n{}\nREADME.md has\n{}",
        printed.join("\n"),
        shown.join("\n")
    );
    Ok(())
}

/// The lines between "```text" and "```".
fn text_blocks(readme: &str) -> impl Iterator<Item = &str> {
    readme.split("```text\n").skip(1).flat_map(|rest| {
        let (block, _) = rest.split_once("```").unwrap_or((rest, ""));
        block.lines()
    })
}

/// What the kernel says of its own accord on a link is in some runs and not in others.
fn form<'a>(lines: impl Iterator<Item = &'a str>) -> Vec<String> {
    lines
        .map(form_of)
        .filter(|line| !line.is_empty() && !line.starts_with("link_local"))
        .collect()
}

fn form_of(line: &str) -> String {
    let mut words: Vec<String> = Vec::new();
    for word in line.split_whitespace() {
        let after_number = words.last().is_some_and(|last| last.ends_with(NUMBER));
        if !(after_number && UNITS.contains(&word)) {
            words.push(without_number(word));
        }
    }
    words.join(" ")
}

fn without_number(word: &str) -> String {
    let bare = word.trim_start_matches(['$', '(']);
    let is_number = bare.starts_with(|c: char| c.is_ascii_digit())
        && bare.chars().all(|c| c.is_ascii_digit() || ".,".contains(c));
    match is_number {
        true => format!("{}{NUMBER}", &word[..word.len() - bare.len()]),
        false => word.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_their_units_are_all_alike() {
        let one = "a/b  c/d   2a>2b  cross_zone  164.3 kB  7 B";
        let other = "a/b  c/d  2a>2b  cross_zone    3.0 MB   7.6 kB";
        assert_eq!(form_of(one), form_of(other));
        assert_eq!(form_of(one), "a/b c/d 2a>2b cross_zone # #");
        assert_eq!(
            form_of("  at this rate $8.41 a month"),
            "at this rate $# a month"
        );
        assert_eq!(form_of("($0.01 for each GB"), "($# for each GB");
    }

    #[test]
    fn words_zones_and_missing_lines_are_told_apart() {
        for (one, other) in [
            ("x 2a>2b 1 B", "x 2b>2a 1 B"),
            ("sum 1", "sums 1"),
            ("exact, in both directions", "off by 3 sent"),
        ] {
            assert_ne!(form_of(one), form_of(other), "{one}");
        }
    }

    #[test]
    fn the_blocks_of_output_are_found() {
        let readme = "a\n```sh\nno\n```\n```text\n1\n2\n```\nb\n```text\n3\n```\n";
        assert_eq!(text_blocks(readme).collect::<Vec<_>>(), ["1", "2", "3"]);
    }
}

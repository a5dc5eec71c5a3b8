//! What was found, for the screen and for the page.

use super::{removal::Removal, trial::Verdict};

/// One entry and what its tests said without the handling.
pub(super) struct Row<'a> {
    pub(super) removal: &'a Removal,
    pub(super) verdicts: Vec<Verdict>,
}

impl Row<'_> {
    /// Whether every test that should miss the handling did.
    pub(super) fn is_noticed(&self) -> bool {
        let failed = |verdict: &Verdict| matches!(verdict, Verdict::Failed(_));
        !self.verdicts.is_empty() && self.verdicts.iter().all(failed)
    }

    fn cells(&self) -> String {
        let told = self.removal.tests.iter().zip(&self.verdicts);
        let told = told.map(|(test, verdict)| match verdict {
            Verdict::Failed(message) => format!("`{}`: {}", test.function, escaped(message)),
            Verdict::Passed => format!("`{}`: **did not notice**", test.function),
            Verdict::Neither(why) => format!("`{}`: **{}**", test.function, escaped(why)),
        });
        let told: Vec<String> = told.collect();
        format!("{}{} |", beginning(self.removal), told.join("<br>"))
    }
}

/// For the screen: one line for each entry.
pub(super) fn text(rows: &[Row]) -> String {
    let width = rows.iter().map(|row| row.removal.name.len()).max();
    let width = width.unwrap_or_default();
    let line = |row: &Row| {
        let word = if row.is_noticed() {
            "noticed"
        } else {
            "NOT NOTICED"
        };
        format!(
            "{:<width$}  {word:<11}  {}",
            row.removal.name, row.removal.handling
        )
    };
    let lines: Vec<String> = rows.iter().map(line).collect();
    format!("\n{}\n", lines.join("\n"))
}

/// The page: the new rows, and for every other entry the row that it had `before`.
pub(super) fn page(
    all: impl Iterator<Item = &'static Removal>,
    rows: &[Row],
    before: &str,
) -> String {
    let line = |removal: &Removal| {
        let new = rows.iter().find(|row| row.removal.name == removal.name);
        let old = || row_of(before, removal).map(str::to_owned);
        let untried = || format!("{}not tried yet |", beginning(removal));
        new.map(Row::cells).or_else(old).unwrap_or_else(untried)
    };
    let lines: Vec<String> = all.map(line).collect();
    format!(
        "# Removals\n\n\
         For each handling: what was taken out of a copy of the sources, and the tests that failed \
         then, with the first line of what they said. All of them pass with nothing taken out.\n\n\
         Made by `cargo xtask removals --write`; the table is in `xtask/src/removals/table/`. \
         `cargo xtask test` checks that every entry still fits the sources.\n\n\
         | handling | taken out | what failed |\n| --- | --- | --- |\n{}\n",
        lines.join("\n")
    )
}

/// The row of an entry in a page that was written earlier; `None` where the entry has changed since.
pub(super) fn row_of<'a>(page: &'a str, removal: &Removal) -> Option<&'a str> {
    let fits = |line: &&str| {
        let mut tests = removal.tests.iter();
        line.starts_with(&beginning(removal))
            && tests.all(|test| line.contains(&format!("`{}`: ", test.function)))
            && line.matches("<br>").count() + 1 == removal.tests.len()
    };
    page.lines().find(fits)
}

fn beginning(removal: &Removal) -> String {
    format!("| {} | {} | ", removal.handling, removal.removed)
}

/// As Markdown takes it in a table.
fn escaped(text: &str) -> String {
    text.replace('|', "\\|").replace('<', "&lt;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::removals::removal::TestAt;

    const fn removal(name: &'static str, handling: &'static str) -> Removal {
        Removal {
            name,
            handling,
            removed: "no more",
            edits: &[],
            tests: &[TEST],
        }
    }

    const TEST: TestAt = TestAt {
        file: "agent/src/x.rs",
        function: "t",
    };
    static TWICE: [TestAt; 2] = [TEST, TEST];
    static ALL: [Removal; 3] = [removal("a", "A"), removal("b", "B"), removal("c", "C")];

    fn row(index: usize, verdict: Verdict) -> Row<'static> {
        Row {
            removal: &ALL[index],
            verdicts: vec![verdict],
        }
    }

    #[test]
    fn what_is_not_tried_keeps_its_row() {
        let first = page(ALL.iter(), &[row(0, Verdict::Failed("1 | 2".into()))], "");
        let second = page(ALL.iter(), &[row(1, Verdict::Passed)], &first);
        let rows: Vec<&str> = second.lines().rev().take(3).collect();
        assert_eq!(
            rows,
            [
                "| C | no more | not tried yet |",
                "| B | no more | `t`: **did not notice** |",
                "| A | no more | `t`: 1 \\| 2 |",
            ]
        );
    }

    #[test]
    fn a_row_is_of_the_entry_as_it_was() {
        let written = page(ALL.iter(), &[row(0, Verdict::Failed("1".into()))], "");
        assert!(row_of(&written, &ALL[0]).is_some());
        let changed = Removal {
            tests: &TWICE,
            ..removal("a", "A")
        };
        assert_eq!(row_of(&written, &changed), None);
        assert_eq!(row_of(&written, &ALL[1]), None);
    }

    #[test]
    fn only_a_failure_is_a_notice() {
        assert!(row(0, Verdict::Failed(String::new())).is_noticed());
        assert!(!row(0, Verdict::Passed).is_noticed());
        assert!(!row(0, Verdict::Neither("it does not compile".into())).is_noticed());
    }
}

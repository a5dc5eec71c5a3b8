//! What test programs report, read from their output, and the sum of it.

use crate::progress;

/// Counts of finished tests, and the names of those that failed.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    pub(super) failures: Vec<String>,
}

impl Outcome {
    /// Reads everything that one run printed. A run that ended badly without a word about a
    /// failed test (a crash, a deadline) counts as one failure of the name `title`.
    pub(crate) fn read(title: &str, printed: &str, ended_well: bool) -> Self {
        let mut outcome = Self::default();
        for (passed, failed) in printed.lines().filter_map(parse_result) {
            outcome.passed += passed;
            outcome.failed += failed;
        }
        outcome.failures = printed
            .lines()
            .filter_map(|line| line.strip_prefix("test ")?.strip_suffix(" ... FAILED"))
            .map(|name| format!("{title}: {name}"))
            .collect();
        if !ended_well && outcome.failed == 0 {
            outcome.failed = 1;
            outcome
                .failures
                .push(format!("{title}: ended before its tests did"));
        }
        outcome
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.failures.extend(other.failures);
    }

    /// Names what failed, then the line that closes the command.
    pub(super) fn report(&self) {
        progress::say("");
        for failure in &self.failures {
            progress::say(&format!("FAILED {failure}"));
        }
        progress::say(&self.closing_line());
    }

    fn closing_line(&self) -> String {
        format!("{} passed, {} failed", self.passed, self.failed)
    }
}

/// From `test result: ok. 3 passed; 1 failed; 0 ignored; …`. Output of a test may stand before
/// it on the line.
fn parse_result(line: &str) -> Option<(u64, u64)> {
    let (_, counts) = line.split_once("test result: ")?.1.split_once(". ")?;
    let count = |word: &str| {
        counts
            .split("; ")
            .find_map(|part| part.strip_suffix(word)?.trim().parse().ok())
    };
    Some((count("passed")?, count("failed")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_of_several_programs_add_up() {
        let printed = "test a ... ok\ntest b ... FAILED\n\
            test result: FAILED. 1 passed; 1 failed; 2 ignored; 0 measured; 0 filtered out; finished in 0.1s\n\
            test result: ok. 4 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s\n";
        let mut outcome = Outcome::read("agent: x", printed, false);
        assert_eq!((outcome.passed, outcome.failed), (5, 1));
        assert_eq!(outcome.failures, ["agent: x: b"]);
        outcome.add(Outcome {
            passed: 2,
            ..Outcome::default()
        });
        assert_eq!(outcome.closing_line(), "7 passed, 1 failed");
    }

    #[test]
    fn a_crash_is_a_failure() {
        let outcome = Outcome::read("tests: lab", "test a ... ", false);
        assert_eq!((outcome.passed, outcome.failed), (0, 1));
    }

    #[test]
    fn other_lines_count_nothing() {
        assert_eq!(
            Outcome::read("x", "7 passed, 0 failed\n", true),
            Outcome::default()
        );
    }
}

//! One broken rule, as one line that an editor can jump to.

use std::fmt;

/// Where, which rule, what to do.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Violation {
    /// Relative to the repository's top.
    pub(super) file: String,
    /// From 1.
    pub(super) line: usize,
    /// The rule's short name.
    pub(super) rule: &'static str,
    /// What is wrong and what mends it.
    pub(super) remedy: String,
}

impl Violation {
    pub(super) fn new(file: &str, line: usize, rule: &'static str, remedy: String) -> Self {
        Self {
            file: file.to_owned(),
            line,
            rule,
            remedy,
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}:{}: {}: {}",
            self.file, self.line, self.rule, self.remedy
        )
    }
}

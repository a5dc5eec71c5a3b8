//! What an entry of the table is, and what must be true of it for the table to mean anything.

use std::{fs, path::Path};

use anyhow::{Context, Result, bail};

/// One handling, how to take it out, and which tests must miss it.
#[derive(Debug)]
pub(crate) struct Removal {
    /// One word for the command line.
    pub(crate) name: &'static str,
    /// What the product does, in the words of its field.
    pub(crate) handling: &'static str,
    /// What it does once it is taken out.
    pub(crate) removed: &'static str,
    /// How it is taken out; the sources still compile then.
    pub(crate) edits: &'static [Edit],
    /// Every one of them must fail then.
    pub(crate) tests: &'static [TestAt],
}

/// One place in the sources.
#[derive(Debug)]
pub(crate) struct Edit {
    /// Relative to the repository.
    pub(crate) file: &'static str,
    /// Occurs exactly once.
    pub(crate) find: &'static str,
    /// Stands there instead.
    pub(crate) replace: &'static str,
}

/// A test, by where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct TestAt {
    /// Relative to the repository.
    pub(crate) file: &'static str,
    /// Name of the function.
    pub(crate) function: &'static str,
}

/// What cargo builds for a test.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Program {
    /// Name of the package.
    pub(crate) package: &'static str,
    /// One file of the package's `tests` folder; `None` for its library.
    pub(crate) scenario: Option<&'static str>,
}

impl Removal {
    /// Fails where the table no longer fits what is below `root`, with one line that names the
    /// entry.
    pub(crate) fn check(&self, root: &Path) -> Result<()> {
        for edit in self.edits {
            edit.apply(&edit.read(root)?)
                .with_context(|| self.named())?;
        }
        for test in self.tests {
            test.check(root).with_context(|| self.named())?;
        }
        match self.edits.is_empty() || self.tests.is_empty() {
            true => bail!(
                "{}: nothing to take out, or nothing to notice it",
                self.named()
            ),
            false => Ok(()),
        }
    }

    fn named(&self) -> String {
        format!("removal `{}`", self.name)
    }
}

impl Edit {
    /// The file as it is below `root`.
    pub(crate) fn read(&self, root: &Path) -> Result<String> {
        read(root, self.file)
    }

    /// `source` without the handling.
    pub(crate) fn apply(&self, source: &str) -> Result<String> {
        match source.matches(self.find).count() {
            1 => Ok(source.replacen(self.find, self.replace, 1)),
            found => bail!(
                "{} has this {found} times instead of once; write the entry anew:\n{}",
                self.file,
                self.find
            ),
        }
    }
}

impl TestAt {
    /// Where cargo finds it: a package's folder, then `src` or `tests`, then the file.
    pub(crate) fn program(&self) -> Result<Program> {
        let parts: Vec<&str> = self.file.split('/').collect();
        let (package, scenario) = match parts[..] {
            ["agent", "src", ..] => ("zonemeter-agent", None),
            ["agent", "tests", file] => ("zonemeter-agent", Some(file)),
            ["tests", "tests", file] => ("zonemeter-tests", Some(file)),
            _ => bail!(
                "{} holds no tests that this command knows to run",
                self.file
            ),
        };
        Ok(Program {
            package,
            scenario: scenario.map(|file| file.trim_end_matches(".rs")),
        })
    }

    /// Whether this name, as the test program lists it, is this test: a file's module, maybe a
    /// module in it, the function.
    pub(crate) fn is(&self, listed: &str) -> bool {
        let (module, function) = listed.rsplit_once("::").unwrap_or(("", listed));
        function == self.function && module.starts_with(&self.module())
    }

    /// `account::tests::naming` for `agent/src/account/tests/naming.rs`; nothing for a scenario.
    fn module(&self) -> String {
        let inside = self.file.split_once("/src/").map(|(_, file)| file);
        let inside = inside.unwrap_or_default();
        inside.trim_end_matches(".rs").replace('/', "::")
    }

    fn check(&self, root: &Path) -> Result<()> {
        let source = read(root, self.file)?;
        let function = format!("fn {}(", self.function);
        let (before, _) = source
            .split_once(&function)
            .with_context(|| format!("{} has no test {}", self.file, self.function))?;
        let (_, attributes) = before.rsplit_once("\n\n").unwrap_or(("", before));
        if !attributes.contains("#[test]") && !attributes.contains("#[tokio::test") {
            bail!("{} in {} is no test", self.function, self.file);
        }
        self.program().map(drop)
    }
}

fn read(root: &Path, file: &str) -> Result<String> {
    fs::read_to_string(root.join(file)).with_context(|| format!("reading {file}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const EDIT: Edit = Edit {
        file: "agent/src/x.rs",
        find: "if old { forget() }",
        replace: "",
    };

    #[test]
    fn what_is_taken_out_occurs_once() {
        let source = "fn tidy() { if old { forget() } }";
        assert_eq!(EDIT.apply(source).unwrap(), "fn tidy() {  }");
        let error = EDIT.apply("").unwrap_err().to_string();
        assert!(error.contains("agent/src/x.rs has this 0 times"), "{error}");
        assert!(EDIT.apply(&[source, source].concat()).is_err());
    }

    #[test]
    fn a_test_is_found_by_its_file() {
        let test = TestAt {
            file: "agent/src/account/book/tenure.rs",
            function: "history",
        };
        let program = test.program().unwrap();
        assert_eq!(
            (program.package, program.scenario),
            ("zonemeter-agent", None)
        );
        assert!(test.is("account::book::tenure::tests::history"));
        assert!(!test.is("account::tests::history"));
        assert!(!test.is("account::book::tenure::tests::history_ends"));
        let test = TestAt {
            file: "tests/tests/live.rs",
            ..test
        };
        let program = test.program().unwrap();
        assert_eq!(
            (program.package, program.scenario),
            ("zonemeter-tests", Some("live"))
        );
        assert!(test.is("history"));
    }
}

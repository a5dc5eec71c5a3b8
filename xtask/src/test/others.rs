//! Programs of others that some test programs need: which, and from when on they are there.
//!
//! They are built for minutes on a fresh machine, so that begins first, beside everything else,
//! and the tests that need them come last.

use std::path::PathBuf;

use anyhow::Result;

use crate::go::{
    Ahead, Recipe,
    recipes::{self, HELM, KUBERNETES, PROMETHEUS},
};

const NEEDS: [(&str, &[&Recipe]); 11] = [
    ("agent: live_cluster", &[KUBERNETES]),
    ("tests: capacity", &[KUBERNETES]),
    ("tests: chart", recipes::ALL),
    ("tests: clusters", &[KUBERNETES]),
    ("tests: documents", &[HELM, KUBERNETES]),
    ("tests: exactness", &[KUBERNETES]),
    // Measures time: a grace period of the kernel takes far longer beside the builds.
    ("tests: hooks", &[KUBERNETES]),
    ("tests: late", &[KUBERNETES]),
    ("tests: live", &[KUBERNETES]),
    ("tests: prometheus", &[PROMETHEUS]),
    // Measures time: after the longest build, not beside it.
    ("tests: whole_cluster", &[PROMETHEUS, KUBERNETES]),
];

/// What the test program called `name` needs.
pub(super) fn needs(name: &str) -> &'static [&'static Recipe] {
    let found = NEEDS.iter().find(|(program, _)| *program == name);
    found.map_or(&[], |(_, needs)| needs)
}

/// Programs of others, as far as they were asked for.
#[derive(Default)]
pub(crate) struct Others(Vec<Ahead>);

impl Others {
    /// Starts to build what is missing of all of them.
    ///
    /// # Errors
    /// As [`Ahead::start`].
    pub(super) fn start() -> Result<Self> {
        let all = recipes::ALL.iter().map(|recipe| Ahead::start(recipe));
        Ok(Self(all.collect::<Result<_>>()?))
    }

    /// The variable that names the folder of what is needed, and the folder, once it is built.
    ///
    /// # Errors
    /// As [`Ahead::start`] and [`Ahead::wait`].
    pub(super) fn wait(&mut self, need: &'static Recipe) -> Result<(&'static str, PathBuf)> {
        let variable = need.tools.variable;
        if let Some(known) = self.0.iter_mut().find(|known| known.variable() == variable) {
            return Ok((variable, known.wait()?));
        }
        let mut ahead = Ahead::start(need)?;
        let folder = ahead.wait()?;
        self.0.push(ahead);
        Ok((variable, folder))
    }

    /// Tells of a build that failed, before something waits for it.
    ///
    /// # Errors
    /// As [`Ahead::check`].
    pub(super) fn check(&mut self) -> Result<()> {
        self.0.iter_mut().try_for_each(Ahead::check)
    }
}

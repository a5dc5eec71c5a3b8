//! Programs of others that some test programs need: which, and from when on they are there.
//!
//! They are built for minutes on a fresh machine, so that begins first, beside everything else,
//! and the tests that need them come last.

use std::path::PathBuf;

use anyhow::Result;
use zonemeter_lab::go_tools::{GoTools, HELM, KUBERNETES, OPERATOR, PROMETHEUS, SECCOMP};

use crate::{go::Ahead, helm, kubernetes, prometheus};

/// What a test program needs; what takes longest to build comes last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Need {
    Operator,
    Seccomp,
    Helm,
    Prometheus,
    Kubernetes,
}

const ALL: [Need; 5] = [
    Need::Operator,
    Need::Seccomp,
    Need::Helm,
    Need::Prometheus,
    Need::Kubernetes,
];
const NEEDS: [(&str, &[Need]); 10] = [
    ("agent: live_cluster", &[Need::Kubernetes]),
    ("tests: capacity", &[Need::Kubernetes]),
    ("tests: chart", &ALL),
    ("tests: clusters", &[Need::Kubernetes]),
    ("tests: documents", &[Need::Helm, Need::Kubernetes]),
    ("tests: exactness", &[Need::Kubernetes]),
    ("tests: late", &[Need::Kubernetes]),
    ("tests: live", &[Need::Kubernetes]),
    ("tests: prometheus", &[Need::Prometheus]),
    // Measures time: after the longest build, not beside it.
    (
        "tests: whole_cluster",
        &[Need::Prometheus, Need::Kubernetes],
    ),
];

impl Need {
    /// Of the test program called `name`.
    pub(super) fn of(name: &str) -> &'static [Self] {
        let found = NEEDS.iter().find(|(program, _)| *program == name);
        found.map_or(&[], |(_, needs)| needs)
    }

    /// Whether the test program called `name` starts containers of the agent's image.
    pub(super) fn is_image_of(name: &str) -> bool {
        name == "tests: chart"
    }

    fn tools(self) -> GoTools {
        match self {
            Self::Operator => OPERATOR,
            Self::Seccomp => SECCOMP,
            Self::Helm => HELM,
            Self::Prometheus => PROMETHEUS,
            Self::Kubernetes => KUBERNETES,
        }
    }

    fn start(self) -> Result<Ahead> {
        Ahead::start(match self {
            Self::Operator => helm::operator(),
            Self::Seccomp => helm::seccomp(),
            Self::Helm => helm::recipe()?,
            Self::Prometheus => prometheus::recipe()?,
            Self::Kubernetes => kubernetes::recipe()?,
        })
    }
}

/// Programs of others, as far as they were asked for.
#[derive(Default)]
pub(crate) struct Others(Vec<(Need, Ahead)>);

impl Others {
    /// Starts to build what is missing of all of them.
    ///
    /// # Errors
    /// As [`Ahead::start`].
    pub(crate) fn start() -> Result<Self> {
        let mut others = Self::default();
        for need in ALL {
            others.0.push((need, need.start()?));
        }
        Ok(others)
    }

    /// The variable that names the folder of what is needed, and the folder, once it is built.
    ///
    /// # Errors
    /// As [`Ahead::start`] and [`Ahead::wait`].
    pub(super) fn wait(&mut self, need: Need) -> Result<(&'static str, PathBuf)> {
        let known = self.0.iter().position(|(known, _)| *known == need);
        let index = match known {
            Some(index) => index,
            None => {
                self.0.push((need, need.start()?));
                self.0.len() - 1
            }
        };
        Ok((need.tools().variable, self.0[index].1.wait()?))
    }

    /// Tells of a build that failed, before something waits for it.
    ///
    /// # Errors
    /// As [`Ahead::check`].
    pub(super) fn check(&mut self) -> Result<()> {
        self.0.iter_mut().try_for_each(|(_, ahead)| ahead.check())
    }
}

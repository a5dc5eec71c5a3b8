//! The demo's own programs that run inside a pod: this binary, started again there, so that
//! they can outlive the command (`--keep`).

use std::{thread, time::Duration};

use anyhow::Result;
use clap::ValueEnum;
use zonemeter_lab::{Namespace, traffic};

/// Longer than any demo is kept.
const LIFETIME: Duration = Duration::from_secs(7 * 24 * 3600);

/// Which program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Part {
    /// Answers `GET /N` with N bytes.
    HttpServer,
}

impl Part {
    /// Runs it until it is killed.
    pub(super) fn run(self, namespace: &str, port: u16) -> Result<()> {
        match self {
            Self::HttpServer => {
                let _server = traffic::http_server(&Namespace::open(namespace)?, port, LIFETIME)?;
                thread::sleep(LIFETIME);
                Ok(())
            }
        }
    }

    /// The arguments of this binary that lead to [`Part::run`].
    pub(super) fn arguments(self, namespace: &str, port: u16) -> Vec<String> {
        let name = self
            .to_possible_value()
            .map(|value| value.get_name().to_owned());
        let name = name.unwrap_or_default();
        let words = ["demo", "--part", &name, "--namespace", namespace, "--port"];
        words
            .into_iter()
            .map(str::to_owned)
            .chain([port.to_string()])
            .collect()
    }
}

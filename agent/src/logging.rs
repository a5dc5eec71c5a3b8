//! Where log lines go: standard error, one line each, structured fields as `name=value`.
//!
//! Levels: `error` something is not counted or not shown; `warn` something may become so, or
//! detail is lost; `info` what a person wants to see once; `debug` the rest.

use std::io::{self, Write};

use tracing_subscriber::{EnvFilter, filter::LevelFilter};
use zonemeter_model::text::visible;

/// kube says everything that the cluster feed says in one line once more, with a debug dump.
const QUIET: &str = "info,kube_client=error,kube_runtime=error";

/// Starts logging at `info`, or as `ZONEMETER_LOG` says (`debug`, `zonemeter=debug,kube=info`).
pub fn start() {
    let filter = std::env::var("ZONEMETER_LOG").unwrap_or_else(|_| QUIET.to_owned());
    let filter = EnvFilter::builder()
        .with_default_directive(LevelFilter::INFO.into())
        .parse_lossy(filter);
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(|| OneLine(std::io::stderr()))
        .with_ansi(false)
        .init();
}

/// Writes each event, which comes whole and ends in a line break, as one line: what others wrote
/// (names, messages of servers) can break no line and act on no terminal.
struct OneLine<W>(W);

impl<W: Write> Write for OneLine<W> {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(event);
        let line = visible(text.strip_suffix('\n').unwrap_or(&text));
        self.0.write_all(format!("{line}\n").as_bytes())?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_one_line_whatever_it_quotes() {
        let mut written = Vec::new();
        let event = b"WARN api says \x1b[2J\nERROR forged \xe2\x80\xae\n";
        OneLine(&mut written).write_all(event).unwrap();
        let expected = "WARN api says \\u{1b}[2J\\nERROR forged \\u{202e}\n";
        assert_eq!(String::from_utf8(written).unwrap(), expected);
    }
}

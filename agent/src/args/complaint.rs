//! One line for a bad command line: the flag, the value, what is accepted.

use std::{
    io::{self, Write as _},
    process::ExitCode,
};

use clap::{
    Error,
    error::{ContextKind, ContextValue, ErrorKind},
};

/// Exit code for a command line, configuration or machine that cannot work.
pub const EXIT_CODE: u8 = 2;

/// Exit code of a process that worked and then could not go on.
pub const FAILED: u8 = 1;

/// Ends with [`EXIT_CODE`] and one line.
pub fn refuse(line: &str) -> ExitCode {
    say(line);
    ExitCode::from(EXIT_CODE)
}

/// Ends well, or with [`FAILED`] and one line.
pub fn ended(result: anyhow::Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("{error:#}"));
            ExitCode::from(FAILED)
        }
    }
}

/// Ends well, or with [`EXIT_CODE`] and one line for the input that flags name.
pub fn input(result: anyhow::Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => refuse(&format!("{error:#}")),
    }
}

/// Ends because of the command line: an error, or a text that was asked for (`--help`).
pub fn of_command_line(error: &Error) -> ExitCode {
    match line(error) {
        Some(line) => refuse(&line),
        None => ended(error.print().map_err(Into::into)),
    }
}

fn say(line: &str) {
    // Nobody is left to tell when standard error is closed.
    let _ = writeln!(io::stderr(), "zonemeter: {line}");
}

/// The line for an error of the command line; `None` where the text is not an error (`--help`,
/// `--version`) and is to be printed as it is.
pub fn line(error: &Error) -> Option<String> {
    let argument = context(error, ContextKind::InvalidArg).map(flag);
    let value = context(error, ContextKind::InvalidValue).unwrap_or_default();
    Some(match (error.kind(), argument) {
        (ErrorKind::DisplayHelp | ErrorKind::DisplayVersion, _) => return None,
        (ErrorKind::InvalidValue, Some(flag)) if value.is_empty() => {
            format!("{flag}: a value is missing{}", accepted(error))
        }
        (ErrorKind::InvalidValue, Some(flag)) => {
            format!("{flag}: {value:?} is not accepted{}", accepted(error))
        }
        (ErrorKind::ValueValidation, Some(flag)) => {
            format!("{flag}: {value:?} is not accepted: {}", source(error))
        }
        (ErrorKind::UnknownArgument, Some(flag)) => {
            format!("{flag}: no such flag: see `{} --help`", command(error))
        }
        (ErrorKind::InvalidSubcommand, _) => {
            let name = context(error, ContextKind::InvalidSubcommand).unwrap_or_default();
            format!("{name:?}: no such command: see `zonemeter --help`")
        }
        _ => first_line(error),
    })
}

/// `--listen <ADDR>` becomes `--listen`.
fn flag(argument: String) -> String {
    argument
        .split_whitespace()
        .next()
        .unwrap_or_default()
        .to_owned()
}

fn accepted(error: &Error) -> String {
    context(error, ContextKind::ValidValue)
        .filter(|values| !values.is_empty())
        .map(|values| format!(": accepted are {values}"))
        .unwrap_or_default()
}

/// What our own parser of the value said, or clap's for numbers.
fn source(error: &Error) -> String {
    std::error::Error::source(error)
        .map(ToString::to_string)
        .unwrap_or_default()
}

fn first_line(error: &Error) -> String {
    let text = error.to_string();
    let line = text.lines().next().unwrap_or_default();
    let line = line.strip_prefix("error: ").unwrap_or(line);
    format!("{line}: see `zonemeter --help`")
}

/// The command that was called, such as `zonemeter top`: the words of the usage line before its
/// first flag or value.
fn command(error: &Error) -> String {
    let usage = match error.get(ContextKind::Usage) {
        Some(ContextValue::StyledStr(usage)) => usage.to_string(),
        _ => String::new(),
    };
    let words = usage
        .split_whitespace()
        .skip_while(|word| *word != "zonemeter");
    let names: Vec<&str> = words
        .take_while(|word| !word.starts_with(['[', '<', '-']))
        .collect();
    match names.is_empty() {
        true => "zonemeter".to_owned(),
        false => names.join(" "),
    }
}

fn context(error: &Error, kind: ContextKind) -> Option<String> {
    match error.get(kind)? {
        ContextValue::String(text) => Some(text.clone()),
        ContextValue::Strings(texts) => Some(texts.join(", ")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::args::Cli;

    fn complaint(arguments: &[&str]) -> String {
        let all = ["zonemeter"].iter().chain(arguments);
        line(&Cli::try_parse_from(all).unwrap_err()).expect("an error")
    }

    #[test]
    fn each_names_flag_value_and_remedy_in_one_line() {
        let cases = [
            (
                ["--attach", "xdp"],
                "--attach: \"xdp\" is not accepted: accepted are auto, tcx, tc",
            ),
            (
                ["--interval", "0s"],
                "--interval: \"0s\" is not accepted: a duration from 100ms to 10m, like 5s",
            ),
            (
                ["--debug-listen", "0.0.0.0:9465"],
                "--debug-listen: \"0.0.0.0:9465\" is not accepted: a loopback address and port, \
                 like 127.0.0.1:9465 or [::1]:9465",
            ),
            (
                ["--max-flows", "0"],
                "--max-flows: \"0\" is not accepted: 0 is not in 1..=16777216",
            ),
            (
                ["--colour", "red"],
                "--colour: no such flag: see `zonemeter agent --help`",
            ),
        ];
        for (arguments, expected) in cases {
            let all = [&["agent"], arguments.as_slice()].concat();
            assert_eq!(complaint(&all), expected);
        }
        assert_eq!(
            complaint(&["top", "--colour"]),
            "--colour: no such flag: see `zonemeter top --help`"
        );
        assert_eq!(
            complaint(&["fly"]),
            "\"fly\": no such command: see `zonemeter --help`"
        );
        assert_eq!(
            complaint(&["agent", "--listen"]),
            "--listen: a value is missing"
        );
    }

    #[test]
    fn help_is_no_error() {
        let help = Cli::try_parse_from(["zonemeter", "agent", "--help"]).unwrap_err();
        assert_eq!(line(&help), None);
    }
}

//! One line for a bad command line: the flag, the value, what is accepted.

use std::{
    io::{self, Write as _},
    process::ExitCode,
};

use clap::{
    Error,
    error::{ContextKind, ContextValue, ErrorKind},
};
use zonemeter_io::output::{self, Closed};
use zonemeter_model::text::visible;

/// Exit code for a command line, configuration or machine that cannot work.
pub const EXIT_CODE: u8 = 2;

/// Exit code of a process that worked and then could not go on.
pub const FAILED: u8 = 1;

/// Ends with [`EXIT_CODE`] and one line.
pub fn refuse(line: &str) -> ExitCode {
    say(line);
    ExitCode::from(EXIT_CODE)
}

/// Exit code where nobody reads the output any more: what a shell shows for a program that the
/// signal SIGPIPE has ended (128 and the signal's number).
pub const CLOSED: u8 = 128 + 13;

/// Ends well, or with [`FAILED`] and one line.
pub fn ended(result: anyhow::Result<()>) -> ExitCode {
    ended_with(result, FAILED)
}

fn ended_with(result: anyhow::Result<()>, code: u8) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.is::<Closed>() => ExitCode::from(CLOSED),
        Err(error) => {
            say(&format!("{error:#}"));
            ExitCode::from(code)
        }
    }
}

/// Ends well, or with [`EXIT_CODE`] and one line for the input that flags name.
pub fn input(result: anyhow::Result<()>) -> ExitCode {
    ended_with(result, EXIT_CODE)
}

/// Ends because of the command line: an error, or a text that was asked for (`--help`). Without a
/// command the help goes to standard error.
pub fn of_command_line(error: &Error) -> ExitCode {
    match (line(error), error.use_stderr()) {
        (Some(line), _) => refuse(&line),
        (None, true) => {
            // Nobody is left to tell when standard error is closed.
            let _ = error.print();
            ExitCode::from(EXIT_CODE)
        }
        (None, false) => ended(output::print(&error.render().to_string())),
    }
}

/// One line on the standard error.
pub fn say(line: &str) {
    // Nobody is left to tell when standard error is closed.
    let _ = writeln!(io::stderr(), "zonemeter: {}", visible(line));
}

/// The line for an error of the command line; `None` where the text is not an error (`--help`,
/// `--version`) and is to be printed as it is.
pub fn line(error: &Error) -> Option<String> {
    let argument = context(error, ContextKind::InvalidArg).map(flag);
    let value = context(error, ContextKind::InvalidValue).unwrap_or_default();
    Some(match (error.kind(), argument) {
        (
            ErrorKind::DisplayHelp
            | ErrorKind::DisplayVersion
            | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand,
            _,
        ) => return None,
        (ErrorKind::MissingRequiredArgument, Some(missing)) => {
            format!("{missing} is missing: see `{} --help`", command(error))
        }
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
            let meant = suggestion(error, ContextKind::SuggestedArg);
            format!(
                "{flag}: no such flag{meant}: see `{} --help`",
                command(error)
            )
        }
        (ErrorKind::InvalidSubcommand, _) => {
            let name = context(error, ContextKind::InvalidSubcommand).unwrap_or_default();
            let meant = suggestion(error, ContextKind::SuggestedSubcommand);
            format!("{name:?}: no such command{meant}: see `zonemeter --help`")
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
        .trim_matches(['<', '>'])
        .to_owned()
}

/// What was probably meant.
fn suggestion(error: &Error, kind: ContextKind) -> String {
    let meant = context(error, kind).filter(|meant| !meant.is_empty());
    meant.map_or(String::new(), |meant| format!(", is {meant} meant?"))
}

fn accepted(error: &Error) -> String {
    context(error, ContextKind::ValidValue)
        .filter(|values| !values.is_empty())
        .map(|values| format!(": accepted are {values}"))
        .unwrap_or_default()
}

/// What our own parser of the value said.
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
                "--max-flows: \"0\" is not accepted: a whole number from 1 to 16777216",
            ),
            (
                ["--max-flows", "many"],
                "--max-flows: \"many\" is not accepted: a whole number from 1 to 16777216",
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
            complaint(&["top", "--zzz"]),
            "--zzz: no such flag: see `zonemeter top --help`"
        );
        assert_eq!(
            complaint(&["fly"]),
            "\"fly\": no such command: see `zonemeter --help`"
        );
        assert_eq!(
            complaint(&["netwrks"]),
            "\"netwrks\": no such command, is networks meant?: see `zonemeter --help`"
        );
        assert_eq!(
            complaint(&["explain"]),
            "WHAT is missing: see `zonemeter explain --help`"
        );
        assert_eq!(
            complaint(&["top", "--limit", "0"]),
            "--limit: \"0\" is not accepted: a whole number from 1 to 10000"
        );
        assert_eq!(
            complaint(&["explain", "010.0.0.1"]),
            "WHAT: \"010.0.0.1\" is not accepted: an IPv4 or IPv6 address"
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
        let alone = Cli::try_parse_from(["zonemeter"]).unwrap_err();
        assert_eq!((line(&alone), alone.use_stderr()), (None, true));
    }
}

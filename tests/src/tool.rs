//! The programs that the lab drives: iproute2, iptables, nftables, ethtool, ping, iperf3.

use std::{
    env,
    io::{self, PipeWriter, Write},
    os::{fd::AsRawFd, unix::fs::PermissionsExt},
    path::PathBuf,
    process::{Command, Output, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};

use crate::until;

/// Program and Debian package of everything that the lab runs.
const REQUIRED: [(&str, &str); 7] = [
    ("ip", "iproute2"),
    ("iptables-restore", "iptables"),
    ("ip6tables-restore", "iptables"),
    ("nft", "nftables"),
    ("ethtool", "ethtool"),
    ("ping", "iputils-ping"),
    ("iperf3", "iperf3"),
];

/// Fails with one line when this machine cannot raise a lab.
pub(crate) fn require() -> Result<()> {
    // SAFETY: geteuid takes nothing and cannot fail.
    let user = unsafe { libc::geteuid() };
    ensure!(
        user == 0,
        "the lab needs root (user id is {user}): run it with sudo -E"
    );
    for (program, package) in REQUIRED {
        ensure!(
            find(program).is_some(),
            "the lab needs {program} (package {package}): run cargo xtask setup"
        );
    }
    Ok(())
}

/// Runs `command` with `input` on its standard input; its failure becomes one error with what
/// the program said.
pub(crate) fn feed(command: &mut Command, input: &str) -> Result<()> {
    let (shown, output) = fed(command, input.as_bytes())?;
    check(&shown, &output).with_context(|| format!("input: {}", blamed(input, &output.stderr)))
}

/// Runs `command` with `input` on its standard input and returns its standard output.
///
/// # Errors
/// It cannot be started, or fails: with what it said.
pub fn pipe(command: &mut Command, input: &[u8]) -> Result<Vec<u8>> {
    let (shown, output) = fed(command, input)?;
    check(&shown, &output)?;
    Ok(output.stdout)
}

/// The writing end of a pipe that nobody reads: who writes there gets SIGPIPE.
///
/// # Errors
/// There are no pipes to be had, or another process goes on reading.
pub fn closed_pipe() -> Result<PipeWriter> {
    let (reader, writer) = io::pipe().context("a pipe")?;
    drop(reader);
    // A process that another thread starts at this moment has the reader, too, until its exec.
    until(Duration::from_secs(20), "a pipe without a reader", || {
        let mut pipe = libc::pollfd {
            fd: writer.as_raw_fd(),
            events: 0,
            revents: 0,
        };
        // SAFETY: one entry, which outlives the call.
        let found = unsafe { libc::poll(&raw mut pipe, 1, 0) };
        (found == 1 && pipe.revents & libc::POLLERR != 0).then_some(())
    })?;
    Ok(writer)
}

/// What `command` is called and how it ended.
fn fed(command: &mut Command, input: &[u8]) -> Result<(String, Output)> {
    let shown = shown(command);
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("start {shown}"))?;
    let mut stdin = child.stdin.take().context("a pipe")?;
    let input = input.to_owned();
    // A thread, because both pipes may be full.
    let write = std::thread::spawn(move || stdin.write_all(&input));
    let output = child.wait_with_output()?;
    // A program that stops early closes the pipe; its exit status says why.
    let _ = write.join();
    Ok((shown, output))
}

/// The line of `input` that a tool's message names as `-:N` or `line N`; all of it otherwise.
fn blamed<'a>(input: &'a str, message: &[u8]) -> &'a str {
    let message = String::from_utf8_lossy(message);
    let number = ["-:", "line ", "line: "].iter().find_map(|mark| {
        let after = &message[message.find(mark)? + mark.len()..];
        let digits = after
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(after.len());
        after[..digits].parse::<usize>().ok()
    });
    number
        .and_then(|number| input.lines().nth(number.checked_sub(1)?))
        .unwrap_or(input)
}

/// Runs `command` and returns its standard output.
///
/// # Errors
/// As [`pipe`], or it printed what is not UTF-8.
pub fn output(command: &mut Command) -> Result<String> {
    let shown = shown(command);
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("start {shown}"))?;
    check(&shown, &output)?;
    String::from_utf8(output.stdout).with_context(|| format!("{shown}: output is not UTF-8"))
}

/// Joins lines, each ended by a newline.
pub(crate) fn lines(lines: &[String]) -> String {
    lines.iter().map(|line| format!("{line}\n")).collect()
}

pub(crate) fn check(shown: &str, output: &Output) -> Result<()> {
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("{shown} ended with {}: {}", output.status, said.trim());
    }
    Ok(())
}

fn shown(command: &Command) -> String {
    let arguments = command.get_args().map(|part| part.to_string_lossy());
    std::iter::once(command.get_program().to_string_lossy())
        .chain(arguments)
        .collect::<Vec<_>>()
        .join(" ")
}

pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path)
        .map(|directory| directory.join(program))
        .find(|file| {
            file.metadata()
                .is_ok_and(|meta| meta.permissions().mode() & 0o111 != 0)
        })
}

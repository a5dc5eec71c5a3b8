//! Running other programs. Whoever reads a failure sees the command as it would be typed.

use std::{
    env,
    ffi::{OsStr, OsString},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Output, Stdio},
};

use anyhow::{Context, Result, bail};
use fs_err as fs;

/// Folders where Debian keeps system tools and that an ordinary user's `PATH` lacks.
const SYSTEM_FOLDERS: [&str; 3] = ["/usr/local/sbin", "/usr/sbin", "/sbin"];

/// A command that knows how to show itself.
pub(crate) struct Cmd(Command);

impl Cmd {
    /// `program` is looked for in [`search_path`].
    pub(crate) fn new(program: impl AsRef<OsStr>) -> Self {
        let mut command = Command::new(program);
        command.env("PATH", search_path());
        Self(command)
    }

    /// cargo in the repository; rustup hands a `+toolchain` on to it by an environment variable.
    pub(crate) fn cargo() -> Self {
        Self::new("cargo")
            .current_dir(crate::repository::root())
            .apart_from_cargo_run()
    }

    /// Without what `cargo run` told this program about itself: build scripts would take it for
    /// news, and what an ordinary cargo had built would be built anew.
    pub(crate) fn apart_from_cargo_run(mut self) -> Self {
        for (key, _) in env::vars_os().filter(|(key, _)| is_of_cargo_run(key)) {
            self.0.env_remove(key);
        }
        self
    }

    pub(crate) fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.0.arg(arg);
        self
    }

    pub(crate) fn args<A: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.0.args(args);
        self
    }

    /// Arguments without white space, as they would be typed.
    pub(crate) fn words(self, words: &str) -> Self {
        self.args(words.split_whitespace())
    }

    pub(crate) fn env(mut self, key: &str, value: impl AsRef<OsStr>) -> Self {
        self.0.env(key, value);
        self
    }

    pub(crate) fn current_dir(mut self, folder: impl AsRef<Path>) -> Self {
        self.0.current_dir(folder);
        self
    }

    /// The program, its arguments and the environment it was given, as a shell would take them.
    pub(crate) fn shown(&self) -> String {
        let given = self
            .0
            .get_envs()
            .filter(|(key, _)| *key != "PATH")
            .filter_map(|(key, value)| {
                Some(format!("{}={}", key.to_string_lossy(), quoted(value?)))
            });
        given
            .chain([quoted(self.0.get_program())])
            .chain(self.0.get_args().map(quoted))
            .collect::<Vec<_>>()
            .join(" ")
    }

    /// Runs it to its end, with nothing to read.
    fn finish(&mut self) -> Result<Output> {
        let done = self.0.stdin(Stdio::null()).output();
        done.with_context(|| format!("cannot start `{}`", self.shown()))
    }
}

/// Makes `folder`, without what was in it.
pub(crate) fn emptied(folder: &Path) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder)?;
    }
    Ok(fs::create_dir_all(folder)?)
}

/// Starts it with nothing to read, and its output for the caller to read; and how it is shown.
pub(crate) fn start_piped(command: Cmd) -> Result<(String, Child)> {
    let (shown, mut command) = (command.shown(), command.0);
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    let child = command
        .spawn()
        .with_context(|| format!("cannot start `{shown}`"))?;
    Ok((shown, child))
}

/// `program` on the processor time that nobody else wants, so that tests which watch the clock
/// run beside it, for so many seconds at most; it ends when this thread does, with all that it
/// started.
pub(crate) fn with_what_is_idle(seconds: &str, program: &Path) -> Cmd {
    let there = |program: &str| find(program, &search_path()).is_some();
    let ends_with_us = match there("setpriv") {
        true => "setpriv --pdeathsig TERM",
        false => "env",
    };
    let idle = match there("chrt") {
        true => "chrt --idle 0",
        false => "nice -n 19",
    };
    // A signal to `timeout` reaches the whole process group that it makes.
    let words = format!("{ends_with_us} timeout --kill-after=10 {seconds} {idle}");
    Cmd::new("env").words(&words).arg(program)
}

/// Runs it with this process's own output.
pub(crate) fn run(mut command: Cmd) -> Result<()> {
    let status = command.0.status();
    let status = status.with_context(|| format!("cannot start `{}`", command.shown()))?;
    expect_success(&command, status, &[])
}

/// Runs it without output; what it printed is shown when it fails.
pub(crate) fn run_quietly(mut command: Cmd) -> Result<()> {
    let done = command.finish()?;
    let printed = [done.stdout, done.stderr].concat();
    expect_success(&command, done.status, &printed)
}

/// Runs it and returns what it wrote to its standard output.
pub(crate) fn output(mut command: Cmd) -> Result<String> {
    let done = command.finish()?;
    expect_success(&command, done.status, &done.stderr)?;
    String::from_utf8(done.stdout)
        .with_context(|| format!("`{}` printed what is not UTF-8", command.shown()))
}

/// Where programs are looked for: `PATH`, cargo's own folder, the system's folders. As it is
/// when it has them all: build scripts run anew when it changes.
pub(crate) fn search_path() -> OsString {
    let path = env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = env::split_paths(&path).collect();
    let cargo = cargo_home().map(|home| home.join("bin"));
    for folder in cargo
        .into_iter()
        .chain(SYSTEM_FOLDERS.iter().map(PathBuf::from))
    {
        if !folders.contains(&folder) {
            folders.push(folder);
        }
    }
    env::join_paths(folders).unwrap_or(path)
}

/// The file that would run for `program`.
pub(crate) fn find(program: &str, path: &OsStr) -> Option<PathBuf> {
    env::split_paths(path)
        .map(|folder| folder.join(program))
        .find(|file| is_executable(file))
}

/// Variables that cargo sets for the programs that it runs (the Cargo book, "Environment
/// variables"), and that are no settings.
fn is_of_cargo_run(key: &OsStr) -> bool {
    let key = key.to_string_lossy();
    key.starts_with("CARGO_PKG_") || key.starts_with("CARGO_MANIFEST_")
}

/// cargo's own folder.
pub(crate) fn cargo_home() -> Option<PathBuf> {
    let home = || env::var_os("HOME").map(|home| PathBuf::from(home).join(".cargo"));
    env::var_os("CARGO_HOME").map(PathBuf::from).or_else(home)
}

fn is_executable(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    file.metadata()
        .is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

fn expect_success(command: &Cmd, status: ExitStatus, printed: &[u8]) -> Result<()> {
    if status.success() {
        return Ok(());
    }
    let printed = String::from_utf8_lossy(printed);
    let printed = printed.trim_end();
    let separator = if printed.is_empty() { "" } else { "\n" };
    bail!(
        "`{}` ended with {status}{separator}{printed}",
        command.shown()
    )
}

fn quoted(word: &OsStr) -> String {
    let word = word.to_string_lossy();
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=+,@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.into_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_shown_as_it_would_be_typed() {
        let command = Cmd::new("mount")
            .args(["-o", "size=1 M", "it's"])
            .env("LANG", "C");
        assert_eq!(command.shown(), r"LANG=C mount -o 'size=1 M' 'it'\''s'");
    }

    #[test]
    fn a_failure_names_the_command_and_what_it_printed() {
        let error = run_quietly(Cmd::new("sh").args(["-c", "echo oh >&2; exit 3"])).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("sh -c 'echo oh >&2; exit 3'"), "{text}");
        assert!(text.contains("exit status: 3"), "{text}");
        assert!(text.ends_with("\noh"), "{text}");
    }

    #[test]
    fn a_program_that_is_not_there_is_named() {
        let error = run(Cmd::new("zonemeter-no-such-program")).unwrap_err();
        let error = format!("{error:#}");
        assert!(
            error.starts_with("cannot start `zonemeter-no-such-program`"),
            "{error}"
        );
    }

    #[test]
    fn cargo_keeps_its_settings_and_loses_what_is_about_this_program() {
        assert!(is_of_cargo_run(OsStr::new("CARGO_MANIFEST_DIR")));
        assert!(is_of_cargo_run(OsStr::new("CARGO_PKG_VERSION")));
        assert!(!is_of_cargo_run(OsStr::new("CARGO_TARGET_DIR")));
        assert!(!is_of_cargo_run(OsStr::new("CARGO_HOME")));
    }

    #[test]
    fn only_an_executable_file_is_found() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("ip"), "").unwrap();
        assert_eq!(find("ip", folder.path().as_os_str()), None);
        let path = env::join_paths([folder.path(), Path::new("/bin")]).unwrap();
        assert_eq!(find("sh", &path), Some(PathBuf::from("/bin/sh")));
    }
}

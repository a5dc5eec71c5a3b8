//! A program on a terminal of its own: a pseudo-terminal, and what a person would see on it.

use std::{
    fs::File,
    io::{self, Read, Write},
    num::NonZeroU16,
    os::{
        fd::{AsRawFd, FromRawFd, OwnedFd},
        unix::process::CommandExt,
    },
    process::{Child, Command, ExitStatus, Stdio},
    ptr,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use zonemeter_lab::until;

/// A running program and its terminal; it is killed when the value is dropped.
#[derive(Debug)]
pub(crate) struct Terminal {
    child: Child,
    person: File,
    /// The program's own end stays open, so that its settings can be read when it has ended.
    program: OwnedFd,
    parser: Parser,
}

struct Parser(vt100::Parser);

impl std::fmt::Debug for Parser {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.0.screen().contents())
    }
}

impl Terminal {
    /// Starts `command` with its input, output and errors on a terminal of this size.
    ///
    /// # Errors
    /// When there is no pseudo-terminal, or the program cannot be started.
    pub(crate) fn start(mut command: Command, rows: u16, columns: u16) -> Result<Self> {
        let (person, program) = open(rows, columns)?;
        let end = || -> io::Result<Stdio> { Ok(program.try_clone()?.into()) };
        command
            .stdin(end()?)
            .stdout(end()?)
            .stderr(end()?)
            .env("TERM", "xterm-256color");
        // SAFETY: between fork and exec the closure makes two system calls and touches no lock and
        // no heap.
        unsafe { command.pre_exec(own_terminal) };
        let child = command.spawn().context("a program on a terminal")?;
        Ok(Self {
            child,
            person,
            program,
            parser: Parser(vt100::Parser::new(some(rows), some(columns), 0)),
        })
    }

    /// Types these bytes.
    ///
    /// # Errors
    /// When the terminal is gone.
    pub(crate) fn type_in(&mut self, keys: &str) -> Result<()> {
        self.person.write_all(keys.as_bytes()).context("typing")
    }

    /// Gives the terminal another size, of which the program hears by SIGWINCH.
    ///
    /// # Errors
    /// When the kernel refuses it.
    pub(crate) fn resize(&mut self, rows: u16, columns: u16) -> Result<()> {
        let size = size(rows, columns);
        // SAFETY: TIOCSWINSZ reads a winsize, which outlives the call.
        let done =
            unsafe { libc::ioctl(self.person.as_raw_fd(), libc::TIOCSWINSZ, &raw const size) };
        ensure!(done == 0, "TIOCSWINSZ: {}", io::Error::last_os_error());
        self.parser
            .0
            .screen_mut()
            .set_size(some(rows), some(columns));
        Ok(())
    }

    /// The lines that are to be seen now, without spaces at their ends.
    ///
    /// # Errors
    /// When the terminal cannot be read.
    pub(crate) fn lines(&mut self) -> Result<Vec<String>> {
        self.read()?;
        let screen = self.parser.0.screen();
        let (_, columns) = screen.size();
        let lines = screen.rows(0, columns.get());
        Ok(lines.map(|line| line.trim_end().to_owned()).collect())
    }

    /// Waits until the lines are as wanted.
    ///
    /// # Errors
    /// With what is on the screen, where that does not come about in time.
    pub(crate) fn until(
        &mut self,
        patience: Duration,
        what: &str,
        wanted: impl Fn(&[String]) -> bool,
    ) -> Result<Vec<String>> {
        let found = until(patience, what, || match self.lines() {
            Ok(lines) => wanted(&lines).then_some(lines),
            Err(_) => None,
        });
        found.with_context(|| self.parser.0.screen().contents())
    }

    /// Whether the alternate screen is shown and the cursor hidden.
    ///
    /// # Errors
    /// When the terminal cannot be read.
    pub(crate) fn is_taken(&mut self) -> Result<bool> {
        self.read()?;
        let screen = self.parser.0.screen();
        Ok(screen.alternate_screen() && screen.hide_cursor())
    }

    /// Whether it is as a shell expects it: first screen, cursor shown, lines and echo.
    ///
    /// # Errors
    /// When the terminal cannot be read.
    pub(crate) fn is_given_back(&mut self) -> Result<bool> {
        self.read()?;
        let screen = self.parser.0.screen();
        let is_cooked =
            local_modes(&self.program)? & (libc::ICANON | libc::ECHO) == libc::ICANON | libc::ECHO;
        Ok(!screen.alternate_screen() && !screen.hide_cursor() && is_cooked)
    }

    /// Whether any cell that is to be seen has a colour.
    ///
    /// # Errors
    /// When the terminal cannot be read.
    pub(crate) fn is_coloured(&mut self) -> Result<bool> {
        self.read()?;
        let screen = self.parser.0.screen();
        let (rows, columns) = screen.size();
        let mut places =
            (0..rows.get()).flat_map(|row| (0..columns.get()).map(move |column| (row, column)));
        Ok(places.any(|(row, column)| {
            screen.cell(row, column).is_some_and(|cell| {
                cell.fgcolor() != vt100::Color::Default || cell.bgcolor() != vt100::Color::Default
            })
        }))
    }

    /// Sends a signal to the program.
    ///
    /// # Errors
    /// When it is gone.
    pub(crate) fn signal(&self, signal: i32) -> Result<()> {
        let id = i32::try_from(self.child.id()).context("a process id")?;
        // SAFETY: kill takes no pointers; the child is not waited for yet, so the id is its own.
        let done = unsafe { libc::kill(id, signal) };
        ensure!(done == 0, "kill: {}", io::Error::last_os_error());
        Ok(())
    }

    /// Waits until the program has ended.
    ///
    /// # Errors
    /// With what is on the screen, where it does not end in time.
    pub(crate) fn ended(&mut self, patience: Duration) -> Result<ExitStatus> {
        let ended = until(patience, "the program's end", || {
            // What it still writes has to be read, or it waits.
            let _ = self.read();
            self.child.try_wait().ok().flatten()
        });
        ended.with_context(|| self.parser.0.screen().contents())
    }

    /// Takes what the program has written so far.
    fn read(&mut self) -> Result<()> {
        let mut bytes = [0; 4096];
        loop {
            match self.person.read(&mut bytes) {
                Ok(0) => return Ok(()),
                Ok(length) => self.parser.0.process(&bytes[..length]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error).context("reading the terminal"),
            }
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // It may have ended by itself, which is what was wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A terminal without a line has one.
fn some(number: u16) -> NonZeroU16 {
    NonZeroU16::new(number).unwrap_or(NonZeroU16::MIN)
}

fn size(rows: u16, columns: u16) -> libc::winsize {
    libc::winsize {
        ws_row: rows,
        ws_col: columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    }
}

/// The person's end, which never blocks, and the program's.
fn open(rows: u16, columns: u16) -> Result<(File, OwnedFd)> {
    let (mut person, mut program) = (-1, -1);
    let size = size(rows, columns);
    // SAFETY: openpty writes two descriptors and reads a winsize, all of which outlive the call.
    let done = unsafe {
        libc::openpty(
            &raw mut person,
            &raw mut program,
            ptr::null_mut(),
            ptr::null(),
            &raw const size,
        )
    };
    ensure!(done == 0, "openpty: {}", io::Error::last_os_error());
    // SAFETY: openpty has just opened both, and nobody else owns them.
    let (person, program) =
        unsafe { (OwnedFd::from_raw_fd(person), OwnedFd::from_raw_fd(program)) };
    for (end, flag) in [(&person, libc::O_NONBLOCK), (&program, 0)] {
        // SAFETY: fcntl takes no pointers here.
        let done = unsafe {
            let closed = libc::fcntl(end.as_raw_fd(), libc::F_SETFD, libc::FD_CLOEXEC);
            closed | libc::fcntl(end.as_raw_fd(), libc::F_SETFL, libc::O_RDWR | flag)
        };
        ensure!(done == 0, "fcntl: {}", io::Error::last_os_error());
    }
    Ok((person.into(), program))
}

/// Makes the standard input the terminal of a session of its own.
fn own_terminal() -> io::Result<()> {
    // SAFETY: neither call takes a pointer.
    let done = unsafe { libc::setsid() != -1 && libc::ioctl(0, libc::TIOCSCTTY, 0) == 0 };
    match done {
        true => Ok(()),
        false => Err(io::Error::last_os_error()),
    }
}

fn local_modes(terminal: &OwnedFd) -> Result<libc::tcflag_t> {
    // SAFETY: a termios is plain numbers, for which 0 is a value.
    let mut modes: libc::termios = unsafe { std::mem::zeroed() };
    // SAFETY: tcgetattr writes a termios, which outlives the call.
    let done = unsafe { libc::tcgetattr(terminal.as_raw_fd(), &raw mut modes) };
    ensure!(done == 0, "tcgetattr: {}", io::Error::last_os_error());
    Ok(modes.c_lflag)
}

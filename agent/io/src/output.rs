//! Text on the standard output.

use std::{
    fmt,
    io::{self, Write as _},
};

use anyhow::{Context as _, Result};

/// Nobody reads the standard output any more: `zonemeter … | head` is done.
#[derive(Clone, Copy, Debug)]
pub struct Closed;

impl fmt::Display for Closed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("standard output: nobody reads it any more")
    }
}

impl std::error::Error for Closed {}

/// Prints a text and sees to it that it has left the process.
///
/// # Errors
/// [`Closed`], or why the text cannot be written.
pub fn print(text: &str) -> Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(Closed.into()),
        written => written.context("standard output"),
    }
}

//! Reading files that others provide, so that none of them can hold the agent up: a named pipe, a
//! device, a mount that does not answer, a file without end.

use std::{
    fs::{self, File, FileType, OpenOptions},
    io::{self, Error, ErrorKind, Read as _},
    os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _},
    path::Path,
    sync::Arc,
    time::Duration,
};

/// How long one file may take. A cluster file of some hundred MB takes seconds.
pub const READ_WITHIN: Duration = Duration::from_secs(30);

/// Reads of one [`ReaderThread`] that may be stuck at a time.
const MOST_STUCK: usize = 8;

/// Opens a regular file, and nothing else.
///
/// # Errors
/// [`ErrorKind::InvalidInput`] that names what it is instead; or why it cannot be opened.
pub fn open(path: &Path) -> io::Result<File> {
    // To open a device or a pipe may have an effect, so the path is looked at first. What is
    // opened may be another file by then, so it is looked at again, and opening does not wait.
    regular(fs::metadata(path)?.file_type())?;
    let mut options = OpenOptions::new();
    options.read(true).custom_flags(libc::O_NONBLOCK);
    let file = options.open(path)?;
    regular(file.metadata()?.file_type())?;
    Ok(file)
}

/// Reads a regular file of text that has at most so many bytes.
///
/// # Errors
/// Those of [`open`]; [`ErrorKind::FileTooLarge`]; [`ErrorKind::InvalidData`] where it is not
/// UTF-8.
pub fn read(path: &Path, at_most: u64) -> io::Result<String> {
    read_open(open(path)?, at_most)
}

/// As [`read`], of a file that is open already.
///
/// # Errors
/// As [`read`].
pub fn read_open(file: File, at_most: u64) -> io::Result<String> {
    let mut text = String::new();
    let bytes = file.take(at_most + 1).read_to_string(&mut text)? as u64;
    match bytes > at_most {
        true => Err(too_large(at_most)),
        false => Ok(text),
    }
}

/// The error for a file that is longer than that.
pub fn too_large(at_most: u64) -> Error {
    let text = format!(
        "it has more than {} MiB: name the right file",
        at_most >> 20
    );
    Error::new(ErrorKind::FileTooLarge, text)
}

fn regular(kind: FileType) -> io::Result<()> {
    let name = match kind {
        file if file.is_file() => return Ok(()),
        folder if folder.is_dir() => "a directory",
        pipe if pipe.is_fifo() => "a named pipe",
        socket if socket.is_socket() => "a socket",
        device if device.is_char_device() || device.is_block_device() => "a device",
        _ => "of a kind of its own",
    };
    let text = format!("not a regular file: it is {name}; put a file in its place");
    Err(Error::new(ErrorKind::InvalidInput, text))
}

/// Work that the disk may hold up, on threads of their own. Clones share the limit of threads.
#[derive(Clone, Debug, Default)]
pub struct ReaderThread {
    /// Held by each thread that runs.
    running: Arc<()>,
}

impl ReaderThread {
    /// Runs `work` and waits for it for so long. What takes longer is left to itself: its result
    /// is dropped, and its thread ends with it.
    ///
    /// # Errors
    /// [`ErrorKind::TimedOut`]; when `work` panicked.
    pub async fn run<T: Send + 'static>(
        &self,
        within: Duration,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> io::Result<T> {
        if Arc::strong_count(&self.running) > MOST_STUCK {
            let text =
                format!("{MOST_STUCK} earlier reads of it are stuck: see to its disk or mount");
            return Err(Error::new(ErrorKind::TimedOut, text));
        }
        let running = Arc::clone(&self.running);
        let work = tokio::task::spawn_blocking(move || {
            let _running = running;
            work()
        });
        let Ok(ended) = tokio::time::timeout(within, work).await else {
            let text = format!("no answer within {within:?}: see to its disk or mount");
            return Err(Error::new(ErrorKind::TimedOut, text));
        };
        ended.map_err(Error::other)
    }
}

#[cfg(test)]
mod tests;

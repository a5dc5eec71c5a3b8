//! The state directory: one agent at a time, and what an earlier one left.

use std::{
    fs::{self, File, TryLockError},
    io::{self, ErrorKind},
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context as _, Result, ensure};
use zonemeter_model::kept::Kept;

use super::{
    file::{self, Contents, Owner},
    writer::Writer,
};

/// Changes whenever the machine starts.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";
const TOTALS: &str = "totals";
/// A file that takes the place of the totals once it is whole.
const NEW: &str = "totals.new";
/// How the name of a file that cannot be used begins; a number follows.
const REFUSED: &str = "totals.refused-";

/// The directory that `--state-dir` names, locked for as long as this value, a clone of it or its
/// [`Writer`] lives.
#[derive(Clone, Debug)]
pub struct StateDir {
    path: PathBuf,
    directory: Arc<File>,
}

/// What an earlier agent left.
#[derive(Debug)]
pub enum Found {
    /// Nothing: counters begin at 0.
    Nothing,
    /// Totals to go on with.
    Totals {
        /// The totals.
        kept: Kept,
        /// The machine has not started since.
        same_boot: bool,
    },
    /// A file that cannot be used; it was set aside, and counters begin at 0.
    Refused,
}

impl StateDir {
    /// Opens the directory.
    ///
    /// # Errors
    /// One line, when it is not there or no directory.
    pub fn open(path: &Path) -> Result<Self> {
        let metadata = fs::metadata(path).with_context(|| refusal(path))?;
        ensure!(metadata.is_dir(), "{}: not a directory", refusal(path));
        let directory = File::open(path).with_context(|| refusal(path))?;
        Ok(Self {
            path: path.to_owned(),
            directory: Arc::new(directory),
        })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// False where another agent has the lock.
    ///
    /// # Errors
    /// When the file system has no locks.
    pub fn try_lock(&self) -> Result<bool> {
        match self.directory.try_lock() {
            Ok(()) => Ok(true),
            Err(TryLockError::WouldBlock) => Ok(false),
            Err(TryLockError::Error(error)) => Err(error).with_context(|| refusal(&self.path)),
        }
    }

    /// Reads what an earlier agent of this node left. Only with the lock.
    ///
    /// # Errors
    /// One line, when the directory cannot be written to or the file cannot be read.
    pub fn restore(self, node: &str) -> Result<(Found, Writer)> {
        self.probe().with_context(|| refusal(&self.path))?;
        let boot = fs::read_to_string(BOOT_ID).context(BOOT_ID)?;
        let owner = Owner {
            node: node.to_owned(),
            boot: boot.trim().to_owned(),
        };
        let found = self.find(&owner)?;
        Ok((found, Writer::new(self, owner)))
    }

    /// A full disk is no reason not to start: it may have room again.
    fn probe(&self) -> io::Result<()> {
        match File::create(self.new_file()) {
            Ok(_) => fs::remove_file(self.new_file()),
            Err(error) => match error.kind() {
                ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Ok(()),
                _ => Err(error),
            },
        }
    }

    fn find(&self, owner: &Owner) -> Result<Found> {
        let path = self.totals();
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Found::Nothing),
            Err(error) => return Err(error).with_context(|| refusal(&path)),
        };
        match file::read(&bytes, &owner.node) {
            Ok(contents) => Ok(self.take(contents, owner)),
            Err(reason) => self.set_aside(&reason),
        }
    }

    fn take(&self, contents: Contents, owner: &Owner) -> Found {
        let path = self.totals();
        let Contents {
            owner: writer,
            kept,
            torn,
        } = contents;
        if torn > 0 {
            tracing::warn!(
                bytes = torn,
                "{}: cut off what an agent had not finished writing when it was killed; the \
                 kernel still has it unless the machine stopped",
                path.display()
            );
        }
        let (pods, workloads) = (kept.snapshot.pods.len(), kept.snapshot.workloads.len());
        tracing::info!(
            pods,
            workloads,
            "{}: going on with these totals",
            path.display()
        );
        Found::Totals {
            kept,
            same_boot: writer.boot == owner.boot,
        }
    }

    fn set_aside(&self, reason: &anyhow::Error) -> Result<Found> {
        let (from, to) = (self.totals(), self.unused_name());
        fs::rename(&from, &to).with_context(|| refusal(&from))?;
        tracing::error!(
            "--state-dir: {} cannot be used, counters begin at 0: {reason:#}: it is kept as {}; \
             put a good copy in its place or remove it",
            from.display(),
            to.display()
        );
        Ok(Found::Refused)
    }

    fn unused_name(&self) -> PathBuf {
        let names = (1..).map(|number| self.path.join(format!("{REFUSED}{number}")));
        let mut unused = names.filter(|path| !path.exists());
        // There is always one more number.
        unused.next().unwrap_or_default()
    }

    /// Removes what agents kept here, files that were set aside too, and the directory itself where
    /// nothing else is in it and it is no mount. Only with the lock. How many files there were.
    ///
    /// # Errors
    /// One line, when something cannot be removed.
    pub fn remove(self) -> Result<usize> {
        let path = &self.path;
        let named = || format!("--state-dir: cannot remove from {}", path.display());
        let mut removed = 0;
        for entry in fs::read_dir(path).with_context(named)? {
            let entry = entry.with_context(named)?;
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if name == TOTALS || name == NEW || name.starts_with(REFUSED) {
                fs::remove_file(entry.path()).with_context(named)?;
                removed += 1;
            }
        }
        match fs::remove_dir(path) {
            Ok(()) => Ok(removed),
            Err(error) => match error.kind() {
                // Something of others', a mount, a mount in a root that is read-only.
                ErrorKind::DirectoryNotEmpty
                | ErrorKind::ResourceBusy
                | ErrorKind::ReadOnlyFilesystem => Ok(removed),
                _ => Err(error).with_context(named),
            },
        }
    }

    /// The file.
    pub(super) fn totals(&self) -> PathBuf {
        self.path.join(TOTALS)
    }

    /// The file that takes its place.
    pub(super) fn new_file(&self) -> PathBuf {
        self.path.join(NEW)
    }

    /// Makes a rename outlive a loss of power.
    pub(super) fn sync(&self) -> io::Result<()> {
        self.directory.sync_all()
    }
}

fn refusal(path: &Path) -> String {
    format!(
        "--state-dir: {} cannot be used: name a directory that is there and that the agent may \
         write to, or leave the flag out",
        path.display()
    )
}

//! Notices that a file's content changed: edited in place, renamed over, or swapped behind the
//! symbolic links of a mounted ConfigMap; gone for a while, too.
//!
//! It polls. inotify watches an inode, and would have to follow every link on the way to it.

use std::{
    fs::{self, File, Metadata},
    io::{self, Read, Seek},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use sha1::{Digest, Sha1};

use crate::files::{self, READ_WITHIN, ReaderThread};

/// How often the file's metadata is looked at.
const PERIOD: Duration = Duration::from_secs(1);
/// A file written so shortly before it was read may be written again within the same tick of
/// its timestamps, so its metadata proves nothing yet.
const UNSETTLED: Duration = Duration::from_secs(2);

/// Follows the content of one file.
#[derive(Debug)]
pub struct Reread {
    path: PathBuf,
    /// More bytes are an error.
    at_most: u64,
    period: Duration,
    last: Last,
    apart: ReaderThread,
}

#[derive(Debug, PartialEq)]
enum Last {
    Nothing,
    Content {
        stamp: Option<Stamp>,
        digest: [u8; 20],
    },
    Failed(io::ErrorKind),
}

/// What tells one state of a file from another without reading it.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Reread {
    /// Follows `path`, a regular file of at most so many bytes; [`Self::changed`] returns at once
    /// the first time.
    pub fn new(path: &Path, at_most: u64) -> Self {
        Self {
            path: path.to_owned(),
            at_most,
            period: PERIOD,
            last: Last::Nothing,
            apart: ReaderThread::default(),
        }
    }

    /// Looks every `period` instead of every second.
    pub fn every(self, period: Duration) -> Self {
        Self { period, ..self }
    }

    /// What was returned last could not be read to its end: returns it again.
    pub fn unread(&mut self) {
        self.last = Last::Failed(io::ErrorKind::TimedOut);
    }

    /// The file, opened at its start, as soon as its content differs from what this returned
    /// last; or the error, as soon as it cannot be read or for another reason than before. After
    /// an error the content is returned again even if it is the same. Cancel safe.
    pub async fn changed(&mut self) -> io::Result<File> {
        loop {
            if self.last != Last::Nothing {
                tokio::time::sleep(self.period).await;
            }
            match self.look().await {
                Ok(None) => {}
                Ok(Some(file)) => return Ok(file),
                Err(error) if self.last == Last::Failed(error.kind()) => {}
                Err(error) => {
                    self.last = Last::Failed(error.kind());
                    return Err(error);
                }
            }
        }
    }

    async fn look(&mut self) -> io::Result<Option<File>> {
        let known = match &self.last {
            Last::Content { stamp, .. } => *stamp,
            Last::Nothing | Last::Failed(_) => None,
        };
        let (path, at_most) = (self.path.clone(), self.at_most);
        let look = move || look(&path, known, at_most);
        let Some(found) = self.apart.run(READ_WITHIN, look).await?? else {
            return Ok(None);
        };
        let same =
            matches!(self.last, Last::Content { digest: known, .. } if known == found.digest);
        self.last = Last::Content {
            stamp: found.stamp,
            digest: found.digest,
        };
        Ok((!same).then_some(found.file))
    }
}

/// A file at its start; digest and stamp are its own, whatever the path names meanwhile.
struct Found {
    file: File,
    stamp: Option<Stamp>,
    digest: [u8; 20],
}

/// `None` where the file's metadata are the known ones.
fn look(path: &Path, known: Option<Stamp>, at_most: u64) -> io::Result<Option<Found>> {
    if known.is_some() && known == Some(stamp(&fs::metadata(path)?)) {
        return Ok(None);
    }
    let mut file = files::open(path)?;
    let metadata = file.metadata()?;
    let (mut hash, mut buffer) = (Sha1::new(), vec![0; 1 << 16]);
    let mut bytes = 0;
    loop {
        match file.read(&mut buffer)? {
            0 => break,
            read => {
                bytes += read as u64;
                hash.update(&buffer[..read]);
            }
        }
        if bytes > at_most {
            return Err(files::too_large(at_most));
        }
    }
    file.rewind()?;
    Ok(Some(Found {
        file,
        stamp: settled(&metadata).then(|| stamp(&metadata)),
        digest: hash.finalize().into(),
    }))
}

fn settled(metadata: &Metadata) -> bool {
    let Ok(modified) = metadata.modified() else {
        return false;
    };
    let age = match SystemTime::now().duration_since(modified) {
        Ok(age) => age,
        Err(ahead) => ahead.duration(),
    };
    age > UNSETTLED
}

fn stamp(metadata: &Metadata) -> Stamp {
    Stamp {
        device: metadata.dev(),
        inode: metadata.ino(),
        size: metadata.size(),
        modified: (metadata.mtime(), metadata.mtime_nsec()),
        changed: (metadata.ctime(), metadata.ctime_nsec()),
    }
}

#[cfg(test)]
mod tests;

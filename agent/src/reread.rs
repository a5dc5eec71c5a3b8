//! Notices that a file's content changed: edited in place, renamed over, or swapped behind the
//! symbolic links of a mounted ConfigMap; gone for a while, too.
//!
//! It polls. inotify watches an inode, and would have to follow every link on the way to it.

use std::{
    fs::{File, Metadata},
    io::{self, Read, Seek},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use sha1::{Digest, Sha1};

/// How often the file's metadata is looked at.
const PERIOD: Duration = Duration::from_secs(1);
/// A file written so shortly before it was read may be written again within the same tick of
/// its timestamps, so its metadata proves nothing yet.
const UNSETTLED: Duration = Duration::from_secs(2);

/// Follows the content of one file.
#[derive(Debug)]
pub struct Reread {
    path: PathBuf,
    period: Duration,
    last: Last,
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
    /// Follows `path`; [`Self::changed`] returns at once the first time.
    pub fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            period: PERIOD,
            last: Last::Nothing,
        }
    }

    /// As [`Self::new`], looking every `period`.
    pub fn every(path: &Path, period: Duration) -> Self {
        Self {
            period,
            ..Self::new(path)
        }
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
        let stamp = stamp(&std::fs::metadata(&self.path)?);
        if matches!(self.last, Last::Content { stamp: Some(known), .. } if known == stamp) {
            return Ok(None);
        }
        let path = self.path.clone();
        let read = tokio::task::spawn_blocking(move || digest(&path));
        let (file, stamp, digest) = read.await.map_err(io::Error::other)??;
        let same = matches!(self.last, Last::Content { digest: known, .. } if known == digest);
        self.last = Last::Content { stamp, digest };
        Ok((!same).then_some(file))
    }
}

/// The digest and the stamp belong to the same open file, whatever the path names meanwhile.
fn digest(path: &Path) -> io::Result<(File, Option<Stamp>, [u8; 20])> {
    let mut file = File::open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "it is not a regular file",
        ));
    }
    let stamp = settled(&metadata).then(|| stamp(&metadata));
    let (mut hash, mut buffer) = (Sha1::new(), vec![0; 1 << 16]);
    loop {
        match file.read(&mut buffer)? {
            0 => break,
            read => hash.update(&buffer[..read]),
        }
    }
    file.rewind()?;
    Ok((file, stamp, hash.finalize().into()))
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

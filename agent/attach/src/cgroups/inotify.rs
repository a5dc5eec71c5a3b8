//! Tells of folders that are made and removed (inotify(7)).

use std::{
    ffi::CString,
    io,
    mem::size_of,
    os::{
        fd::{AsRawFd as _, FromRawFd as _, OwnedFd},
        unix::ffi::OsStrExt as _,
    },
    path::Path,
};

use tokio::io::unix::AsyncFd;

/// Room for many messages of one name each.
const BUFFER_BYTES: usize = 16 * 1024;
/// `struct inotify_event` before its name.
const HEADER_BYTES: usize = size_of::<libc::inotify_event>();

/// A folder was made or removed, or so much happened that the kernel does not tell what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// In the folder of this watch, the one of this name.
    Made(i32, String),
    /// In the folder of this watch, the one of this name.
    Removed(i32, String),
    /// Messages were dropped.
    Overflow,
}

/// One inotify instance. A watch of a cgroup's folder does not end with the folder, as others do: such a
/// folder keeps its number of links (`fs/kernfs`), by which the kernel knows that it is gone.
pub(super) struct Inotify(AsyncFd<OwnedFd>);

impl Inotify {
    /// Needs a tokio runtime.
    ///
    /// # Errors
    /// When this user may have no more instances (fs.inotify.max_user_instances).
    pub(super) fn open() -> io::Result<Self> {
        // SAFETY: takes flags only.
        let fd = unsafe { libc::inotify_init1(libc::IN_NONBLOCK | libc::IN_CLOEXEC) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: a new descriptor of our own, which stays open for as long as it is registered.
        let registered = unsafe { AsyncFd::register(OwnedFd::from_raw_fd(fd)) };
        Ok(Self(registered.map_err(io::Error::from)?))
    }

    /// Watches a folder; the same number for one that is watched already.
    ///
    /// # Errors
    /// When it is gone, or this user may have no more watches (fs.inotify.max_user_watches).
    pub(super) fn watch(&self, folder: &Path) -> io::Result<i32> {
        let path = CString::new(folder.as_os_str().as_bytes())?;
        let wanted = libc::IN_CREATE | libc::IN_DELETE | libc::IN_ONLYDIR;
        // SAFETY: an open descriptor, and a path that ends with a zero and lives through the call.
        let watch = unsafe { libc::inotify_add_watch(self.0.as_raw_fd(), path.as_ptr(), wanted) };
        match watch {
            0.. => Ok(watch),
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// Ends a watch; what was told of its folder and is not read yet is still read.
    pub(super) fn unwatch(&self, watch: i32) {
        // SAFETY: an open descriptor. Fails where the kernel has ended it, which is what is wanted.
        let _ = unsafe { libc::inotify_rm_watch(self.0.as_raw_fd(), watch) };
    }

    /// What happened, once something has. Safe to drop half-way.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(super) async fn next(&self) -> io::Result<Vec<Event>> {
        loop {
            let mut ready = self.0.readable().await?;
            let mut buffer = vec![0u8; BUFFER_BYTES];
            let read = ready.try_io(|inotify| {
                // SAFETY: an open descriptor, and as much room as is said.
                let read = unsafe {
                    libc::read(
                        inotify.as_raw_fd(),
                        buffer.as_mut_ptr().cast(),
                        buffer.len(),
                    )
                };
                usize::try_from(read).map_err(|_| io::Error::last_os_error())
            });
            if let Ok(read) = read {
                return Ok(parse(&buffer[..read?]));
            }
        }
    }
}

/// Messages one behind the other, each a head and a name that is filled up with zeroes.
fn parse(mut bytes: &[u8]) -> Vec<Event> {
    let mut events = Vec::new();
    while let Some((head, rest)) = bytes.split_at_checked(HEADER_BYTES) {
        let field = |at: usize| {
            let mut field = [0; 4];
            field.copy_from_slice(&head[at..at + 4]);
            field
        };
        // wd, mask, cookie, len (include/uapi/linux/inotify.h)
        let (watch, mask) = (i32::from_ne_bytes(field(0)), u32::from_ne_bytes(field(4)));
        let length = u32::from_ne_bytes(field(12)) as usize;
        let (name, rest) = rest.split_at(length.min(rest.len()));
        let name = name.split(|byte| *byte == 0).next().unwrap_or_default();
        let name = String::from_utf8_lossy(name).into_owned();
        bytes = rest;
        if mask & libc::IN_Q_OVERFLOW != 0 {
            events.push(Event::Overflow);
        } else if mask & libc::IN_ISDIR != 0 && mask & libc::IN_CREATE != 0 {
            events.push(Event::Made(watch, name));
        } else if mask & libc::IN_ISDIR != 0 && mask & libc::IN_DELETE != 0 {
            events.push(Event::Removed(watch, name));
        }
    }
    events
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[tokio::test]
    async fn folders_that_come_and_go_are_told() {
        let folder = tempfile::tempdir().unwrap();
        let inotify = Inotify::open().unwrap();
        let watch = inotify.watch(folder.path()).unwrap();
        let inside = folder.path().join("kubelet.service");
        fs::create_dir(&inside).unwrap();
        fs::write(folder.path().join("file"), "no folder").unwrap();
        fs::remove_dir(&inside).unwrap();
        let name = "kubelet.service".to_owned();
        let expected = [
            Event::Made(watch, name.clone()),
            Event::Removed(watch, name),
        ];
        assert_eq!(inotify.next().await.unwrap(), expected);
        assert!(inotify.watch(&inside).is_err(), "it is gone");
    }
}

//! An array map in this process's memory: no system call for what is read and cleared there.

use std::{
    io,
    os::fd::{AsFd as _, AsRawFd as _},
    ptr::NonNull,
};

use anyhow::{Context as _, Result, ensure};
use aya::{Pod, maps::MapData};

/// The elements of a map that was made with `BPF_F_MMAPABLE`, as a row of `T`, of which an element
/// may hold several. Programs write to it meanwhile: every access is a single read or write, and
/// callers keep to what no program writes to.
pub(super) struct Mapped<T> {
    start: NonNull<T>,
    length: usize,
    bytes: usize,
    _data: MapData,
}

// SAFETY: the memory belongs to the map, and outlives the thread that mapped it.
unsafe impl<T: Pod + Send> Send for Mapped<T> {}

impl<T: Pod> Mapped<T> {
    /// Maps all of it.
    ///
    /// # Errors
    /// When the elements are no whole number of `T`, or the kernel refuses.
    pub(super) fn new(data: MapData) -> Result<Self> {
        let info = data.info()?;
        let (element, entries) = (info.value_size() as usize, info.max_entries() as usize);
        let name = info.name_as_str().unwrap_or("?").to_owned();
        ensure!(
            element.is_multiple_of(size_of::<T>()) && element.is_multiple_of(8),
            "map {name} has elements of {element} bytes"
        );
        let bytes = element * entries;
        // SAFETY: a new mapping of a length that the map has; it hides nothing.
        let start = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                bytes,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED,
                data.fd().as_fd().as_raw_fd(),
                0,
            )
        };
        let error = io::Error::last_os_error();
        if start == libc::MAP_FAILED {
            return Err(error).with_context(|| format!("mapping map {name} into memory"));
        }
        Ok(Self {
            start: NonNull::new(start.cast()).context("mapped at address 0")?,
            length: bytes / size_of::<T>(),
            bytes,
            _data: data,
        })
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.length
    }

    /// One of them; `None` past the end.
    pub(super) fn get(&self, index: usize) -> Option<T> {
        // SAFETY: inside the mapping, aligned because the mapping is to a page and `T` fills it
        // without gaps, and any bytes are a `T`.
        (index < self.length).then(|| unsafe { self.start.add(index).read_volatile() })
    }

    /// Replaces one; nothing past the end.
    pub(super) fn set(&mut self, index: usize, value: T) {
        if index < self.length {
            // SAFETY: as above.
            unsafe { self.start.add(index).write_volatile(value) };
        }
    }
}

impl<T> Drop for Mapped<T> {
    fn drop(&mut self) {
        // SAFETY: the mapping that `new` made, which nothing refers to any more.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.bytes) };
    }
}

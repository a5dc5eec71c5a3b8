//! Batch calls on hash maps, which aya does not have: 10,000 entries are three system
//! calls instead of twenty thousand.

use std::{
    io,
    marker::PhantomData,
    mem::size_of,
    os::fd::{AsFd as _, AsRawFd as _},
};

use aya::{Pod, maps::MapData};
use aya_obj::generated::{bpf_attr, bpf_cmd};

use super::syscall;

/// Bytes of values asked for in one call, so that large maps need no large buffer.
const VALUE_BYTES: usize = 1 << 20;

/// A hash map whose keys and values are plain data.
pub(super) struct BatchMap<K, V> {
    data: MapData,
    types: PhantomData<(K, V)>,
}

impl<K: Pod, V: Pod> BatchMap<K, V> {
    /// Of a map that has these keys and values.
    pub(super) fn new(data: MapData) -> Self {
        Self {
            data,
            types: PhantomData,
        }
    }

    /// Calls `each` with every key and its value. The map must be
    /// idle: entries that come or go meanwhile may be missed.
    pub(super) fn read(&self, mut each: impl FnMut(K, &V)) -> io::Result<()> {
        let mut room = (VALUE_BYTES / size_of::<V>()).max(64);
        let mut position: Option<Position> = None;
        loop {
            let mut chunk = Chunk::<K, V>::with_room(room);
            let mut next = Position::default();
            let (count, result) = self.lookup(position.as_ref(), &mut next, &mut chunk);
            match result {
                Err(error) if error.raw_os_error() == Some(libc::ENOSPC) => {
                    room *= 2;
                    continue;
                }
                Err(error) if error.raw_os_error() != Some(libc::ENOENT) => return Err(error),
                _ => chunk.each(count, &mut each),
            }
            if result.is_err() {
                return Ok(());
            }
            position = Some(next);
        }
    }

    fn lookup(
        &self,
        from: Option<&Position>,
        next: &mut Position,
        chunk: &mut Chunk<K, V>,
    ) -> (usize, io::Result<()>) {
        let mut attr = self.attr(chunk.keys.capacity());
        attr.batch.in_batch = from.map_or(0, |position| position.0.as_ptr() as u64);
        attr.batch.out_batch = next.0.as_mut_ptr() as u64;
        attr.batch.keys = chunk.keys.as_mut_ptr() as u64;
        attr.batch.values = chunk.values.as_mut_ptr() as u64;
        call(bpf_cmd::BPF_MAP_LOOKUP_BATCH, &mut attr)
    }

    /// Deletes `keys`; one that is not there is an error.
    pub(super) fn delete(&self, keys: &[K]) -> io::Result<()> {
        if keys.is_empty() {
            return Ok(());
        }
        let mut attr = self.attr(keys.len());
        attr.batch.keys = keys.as_ptr() as u64;
        call(bpf_cmd::BPF_MAP_DELETE_BATCH, &mut attr).1
    }

    fn attr(&self, count: usize) -> bpf_attr {
        let mut attr = syscall::attr();
        attr.batch.map_fd = self.data.fd().as_fd().as_raw_fd() as u32;
        attr.batch.count = count as u32;
        attr
    }
}

/// Where the kernel's walk stands: an opaque token, 4 bytes for hash maps.
#[derive(Default)]
struct Position([u64; 2]);

/// Room for the answer of one lookup.
struct Chunk<K, V> {
    keys: Vec<K>,
    values: Vec<V>,
}

impl<K: Pod, V: Pod> Chunk<K, V> {
    fn with_room(keys: usize) -> Self {
        Self {
            keys: Vec::with_capacity(keys),
            values: Vec::with_capacity(keys),
        }
    }

    /// Hands on the `count` entries that the kernel wrote.
    fn each(&mut self, count: usize, each: &mut impl FnMut(K, &V)) {
        // SAFETY: the kernel filled `count` keys and their values, no more than there was room
        // for, and both are plain data.
        unsafe {
            self.keys.set_len(count);
            self.values.set_len(count);
        }
        for (key, value) in self.keys.iter().zip(&self.values) {
            each(*key, value);
        }
    }
}

/// One bpf call; returns how many entries it handled even where it failed.
fn call(command: bpf_cmd, attr: &mut bpf_attr) -> (usize, io::Result<()>) {
    // SAFETY: the pointers lead to buffers that are as long as `count` says.
    let result = unsafe { syscall::bpf(command, attr) };
    // SAFETY: the member that the command was given and answered in.
    let count = unsafe { attr.batch.count } as usize;
    (count, result.map(|_| ()))
}

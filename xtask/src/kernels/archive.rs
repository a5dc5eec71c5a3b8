//! Archives as the kernel unpacks them at boot (`Documentation/driver-api/early-userspace`).

use std::path::Path;

use anyhow::Result;
use fs_err as fs;

use crate::exec::{self, Cmd};

/// Several archives one behind another are unpacked as one when each begins at a multiple of 4.
const ALIGNMENT: usize = 512;

/// Packs everything below `folder` into `file`, owned by root; folders before what they hold.
pub(super) fn pack(folder: &Path, file: &Path) -> Result<()> {
    let pack = r#"find . -mindepth 1 | LC_ALL=C sort |
        cpio --create --format=newc --owner=0:0 --quiet --file "$0""#;
    exec::run_quietly(
        Cmd::new("sh")
            .args(["-c", pack])
            .arg(file)
            .current_dir(folder),
    )
}

/// Joins archives into one file.
pub(super) fn join(parts: &[&Path], file: &Path) -> Result<()> {
    let mut joined = Vec::new();
    for part in parts {
        joined.resize(joined.len().next_multiple_of(ALIGNMENT), 0);
        joined.extend(fs::read(part)?);
    }
    Ok(fs::write(file, joined)?)
}

/// Makes the folder of `to`, then copies; a link becomes the file that it leads to.
pub(super) fn copy(from: &Path, to: &Path) -> Result<()> {
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::copy(from, to)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_begin_where_the_kernel_looks_for_them() {
        let folder = tempfile::tempdir().unwrap();
        let [a, b, joined] = ["a", "b", "joined"].map(|name| folder.path().join(name));
        fs::write(&a, "070701").unwrap();
        fs::write(&b, "070702").unwrap();
        join(&[&a, &b], &joined).unwrap();
        let bytes = fs::read(&joined).unwrap();
        assert_eq!(&bytes[..6], b"070701");
        assert_eq!(&bytes[512..], b"070702");
    }
}

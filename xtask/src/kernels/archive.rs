//! Archives as the kernel unpacks them at boot (`Documentation/driver-api/early-userspace`).

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::Stdio,
};

use anyhow::{Context, Result, ensure};

use crate::exec::{self, Cmd};

/// Several archives one behind another are unpacked as one when each begins at a multiple of 4.
const ALIGNMENT: usize = 512;

/// Packs everything below `folder` into `file`, owned by root.
pub(super) fn pack(folder: &Path, file: &Path) -> Result<()> {
    let names = relative_names(folder)?;
    let command = Cmd::new("cpio")
        .args([
            "--create",
            "--format=newc",
            "--owner=0:0",
            "--quiet",
            "--file",
        ])
        .arg(file)
        .current_dir(folder);
    let shown = command.shown();
    let mut child = command
        .into_inner()
        .stdin(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start `{shown}`"))?;
    let mut input = child.stdin.take().context("cpio's input")?;
    for name in &names {
        writeln!(input, "{}", name.display()).with_context(|| format!("feeding `{shown}`"))?;
    }
    drop(input);
    let status = child
        .wait()
        .with_context(|| format!("waiting for `{shown}`"))?;
    ensure!(status.success(), "`{shown}` ended with {status}");
    Ok(())
}

/// Joins archives into one file.
pub(super) fn join(parts: &[&Path], file: &Path) -> Result<()> {
    let mut joined = Vec::new();
    for part in parts {
        joined.resize(joined.len().next_multiple_of(ALIGNMENT), 0);
        joined.extend(fs::read(part).with_context(|| format!("reading {}", part.display()))?);
    }
    fs::write(file, joined).with_context(|| format!("writing {}", file.display()))
}

/// Makes the folder of `to`, then copies; a link becomes the file that it leads to.
pub(super) fn copy(from: &Path, to: &Path) -> Result<()> {
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
    }
    fs::copy(from, to)
        .map(|_| ())
        .with_context(|| format!("copying {} to {}", from.display(), to.display()))
}

/// Folders before what they hold, sorted.
fn relative_names(folder: &Path) -> Result<Vec<PathBuf>> {
    let listed = exec::output(
        Cmd::new("find")
            .args([".", "-mindepth", "1"])
            .current_dir(folder),
    )?;
    let mut names: Vec<PathBuf> = listed.lines().map(PathBuf::from).collect();
    names.sort();
    Ok(names)
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

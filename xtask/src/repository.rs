//! Where the repository is and what it tracks.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::exec::{self, Cmd};

/// The repository's top folder.
pub(crate) fn root() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.parent().unwrap_or(own).to_path_buf()
}

/// Where cargo puts what it builds with `--release`, beside the folder of this program.
///
/// # Errors
/// This program's own path cannot be told.
pub(crate) fn release_folder() -> Result<PathBuf> {
    Ok(target_folder()?.join("release"))
}

/// This program, to be started again while this process lives, also from another network
/// namespace. The kernel's link to the running file (proc_pid_exe(5)), not the file's name: a
/// cargo command of the same run may have put a new build under that name.
pub(crate) fn own_program() -> PathBuf {
    PathBuf::from(format!("/proc/{}/exe", std::process::id()))
}

/// Where cargo put this program, and everything else that it builds.
///
/// # Errors
/// This program's own path cannot be told.
pub(crate) fn target_folder() -> Result<PathBuf> {
    let own = std::env::current_exe().context("this program's own path")?;
    let target = own.parent().and_then(Path::parent);
    Ok(target.context("this program's target folder")?.to_owned())
}

/// Paths relative to [`root`] of every file that git tracks or would track, sorted; files that
/// are deleted and not yet committed as such are left out.
pub(crate) fn files() -> Result<Vec<String>> {
    let listed = exec::output(
        Cmd::new("git")
            .words("ls-files -z --cached --others --exclude-standard")
            .current_dir(root()),
    )?;
    let mut files: Vec<String> = listed
        .split('\0')
        .filter(|path| !path.is_empty() && root().join(path).is_file())
        .map(str::to_owned)
        .collect();
    files.sort();
    files.dedup();
    Ok(files)
}

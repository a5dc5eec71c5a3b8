//! A copy of the working tree, to take things out of. The working tree itself is never written to,
//! and what is built from the copy goes to a folder of its own: nobody may take it for the agent.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

use super::removal::Edit;
use crate::{exec::Cmd, repository};

/// The copy.
pub(super) struct Tree {
    root: PathBuf,
    built: PathBuf,
    /// Two runs at the same time would take things out of each other's copy.
    _lock: File,
}

impl Tree {
    /// Makes the copy equal to the working tree. What is equal already keeps its time, so that
    /// cargo builds only what has changed.
    pub(super) fn copy() -> Result<Self> {
        let folder = repository::target_folder()?.join("removals");
        let tree = Self {
            root: folder.join("tree"),
            built: folder.join("build"),
            _lock: lock(&folder)?,
        };
        let files = repository::files()?;
        tree.remove_all_but(&files)?;
        for file in &files {
            let content = fs::read(repository::root().join(file));
            tree.hold(file, &content.with_context(|| format!("reading {file}"))?)?;
        }
        Ok(tree)
    }

    /// Top folder of the copy.
    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// cargo in the copy.
    pub(super) fn cargo(&self) -> Cmd {
        Cmd::cargo()
            .current_dir(&self.root)
            .env("CARGO_TARGET_DIR", &self.built)
    }

    /// Does `work` in the copy without what `edits` take out, and puts it back.
    pub(super) fn without<T>(&self, edits: &[Edit], work: impl FnOnce() -> Result<T>) -> Result<T> {
        let mut before: Vec<(&str, String)> = Vec::new();
        for edit in edits {
            let source = edit.read(&self.root)?;
            self.hold(edit.file, edit.apply(&source)?.as_bytes())?;
            before.push((edit.file, source));
        }
        let done = work();
        // Two edits of one file: the first one read it whole.
        for (file, source) in before.iter().rev() {
            self.hold(file, source.as_bytes())?;
        }
        done
    }

    fn hold(&self, file: &str, content: &[u8]) -> Result<()> {
        let path = self.root.join(file);
        if fs::read(&path).is_ok_and(|held| held == content) {
            return Ok(());
        }
        let write = || -> io::Result<()> {
            fs::create_dir_all(path.parent().unwrap_or(&self.root))?;
            fs::write(&path, content)
        };
        write().with_context(|| format!("writing {}", path.display()))
    }

    /// A file that the working tree no longer has would still be built.
    fn remove_all_but(&self, files: &[String]) -> Result<()> {
        let mut folders = vec![self.root.clone()];
        while let Some(folder) = folders.pop() {
            let Ok(entries) = fs::read_dir(&folder) else {
                continue; // nothing has been copied yet
            };
            for entry in entries {
                let path = entry?.path();
                if path.is_dir() {
                    folders.push(path);
                } else if !self.is_one_of(&path, files) {
                    fs::remove_file(&path)
                        .with_context(|| format!("removing {}", path.display()))?;
                }
            }
        }
        Ok(())
    }

    fn is_one_of(&self, path: &Path, files: &[String]) -> bool {
        let relative = path.strip_prefix(&self.root).unwrap_or(path);
        let relative = relative.to_string_lossy();
        files
            .binary_search_by(|file| file.as_str().cmp(&relative))
            .is_ok()
    }
}

/// Waits until no other run has the folder.
fn lock(folder: &Path) -> Result<File> {
    let lock = || -> io::Result<File> {
        fs::create_dir_all(folder)?;
        let file = File::create(folder.join("lock"))?;
        file.lock()?;
        Ok(file)
    };
    lock().with_context(|| format!("locking {}", folder.display()))
}

#[cfg(test)]
mod tests {
    use anyhow::bail;

    use super::*;

    #[test]
    fn what_was_taken_out_is_put_back_whatever_comes() {
        let folder = tempfile::tempdir().unwrap();
        let tree = Tree {
            root: folder.path().to_owned(),
            built: folder.path().join("build"),
            _lock: lock(&folder.path().join("locked")).unwrap(),
        };
        tree.hold("a/b.rs", b"one two").unwrap();
        let edit = |find, replace| Edit {
            file: "a/b.rs",
            find,
            replace,
        };
        let held = || fs::read_to_string(folder.path().join("a/b.rs")).unwrap();
        let edits = [edit("one", "1"), edit("two", "2")];
        let seen = tree.without(&edits, || Ok(held())).unwrap();
        assert_eq!((seen.as_str(), held().as_str()), ("1 2", "one two"));
        let failed: Result<()> = tree.without(&edits, || bail!("no"));
        assert!(failed.is_err());
        assert_eq!(held(), "one two");
        tree.remove_all_but(&[]).unwrap();
        assert!(!folder.path().join("a/b.rs").exists());
    }
}

//! A disk that hangs, as the agent sees it: a library in front of the C library.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use zonemeter_lab::until;

/// While the file `$SLOW_FILE` is there, what is written below `$SLOW_FOLDER` stops half-way and
/// `fsync` does not return; a second file then says that somebody waits.
const SOURCE: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int is_slow(int fd) {
    const char *folder = getenv("SLOW_FOLDER"), *file = getenv("SLOW_FILE");
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0 || !folder || !file)
        return 0;
    path[length] = 0;
    return !strncmp(path, folder, strlen(folder)) && !access(file, F_OK);
}

static void hang(void) {
    const char *file = getenv("SLOW_FILE");
    char waits[4096];
    snprintf(waits, sizeof waits, "%s.waits", file);
    close(open(waits, O_CREAT | O_WRONLY, 0600));
    while (!access(file, F_OK))
        usleep(10000);
}

ssize_t write(int fd, const void *bytes, size_t length) {
    ssize_t (*next)(int, const void *, size_t) = dlsym(RTLD_NEXT, "write");
    if (length < 2 || !is_slow(fd))
        return next(fd, bytes, length);
    ssize_t half = next(fd, bytes, length / 2);
    hang();
    return half;
}

int fsync(int fd) {
    int (*next)(int) = dlsym(RTLD_NEXT, "fsync");
    if (is_slow(fd))
        hang();
    return next(fd);
}
"#;

/// Hangs, or does not.
pub(super) struct SlowDisk(tempfile::TempDir);

impl SlowDisk {
    /// One that does not hang yet.
    pub(super) fn new() -> Self {
        let disk = Self(tempfile::tempdir().unwrap());
        let source = disk.path("slow.c");
        fs::write(&source, SOURCE).unwrap();
        let mut cc = Command::new("cc");
        cc.args(["-shared", "-fPIC", "-o"]).arg(disk.library());
        let built = cc.arg(&source).arg("-ldl").status().unwrap();
        assert!(built.success(), "{cc:?}");
        disk
    }

    /// What an agent that writes below `folder` is started with.
    pub(super) fn environment(&self, folder: &Path) -> [(&'static str, PathBuf); 3] {
        [
            ("LD_PRELOAD", self.library()),
            ("SLOW_FILE", self.file()),
            ("SLOW_FOLDER", folder.to_owned()),
        ]
    }

    /// From now on it hangs; returns when somebody waits for it.
    pub(super) fn hang(&self) {
        let waits = self.path("hangs.waits");
        // It may have hung before.
        let _ = fs::remove_file(&waits);
        fs::write(self.file(), "").unwrap();
        until(Duration::from_secs(10), "a write that hangs", || {
            waits.exists().then_some(())
        })
        .unwrap();
    }

    /// It answers again.
    pub(super) fn answer(&self) {
        fs::remove_file(self.file()).unwrap();
    }

    fn file(&self) -> PathBuf {
        self.path("hangs")
    }

    fn library(&self) -> PathBuf {
        self.path("slow.so")
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
}

//! The bpf file system, where the agent pins links and maps.

use anyhow::Result;
use fs_err as fs;

use crate::{exec, privilege::Privilege, progress};

const MOUNT_POINT: &str = "/sys/fs/bpf";

/// Mounts it when it is not there. Without root nothing that needs it runs anyway.
pub(super) fn ensure(privilege: Privilege) -> Result<()> {
    let mounts = fs::read_to_string("/proc/self/mounts")?;
    if is_mounted(&mounts) || privilege == Privilege::Absent {
        return Ok(());
    }
    let mount = privilege
        .command("mount")
        .words("-t bpf bpf")
        .arg(MOUNT_POINT);
    progress::step("mounting the bpf file system", || exec::run(mount))
}

fn is_mounted(mounts: &str) -> bool {
    mounts.lines().any(|line| {
        let mut fields = line.split_whitespace().skip(1);
        fields.next() == Some(MOUNT_POINT) && fields.next() == Some("bpf")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_type_and_the_place_must_both_fit() {
        assert!(is_mounted(
            "proc /proc proc rw 0 0\nbpf /sys/fs/bpf bpf rw,relatime 0 0\n"
        ));
        assert!(!is_mounted("bpf /run/bpf bpf rw 0 0\n"));
        assert!(!is_mounted("tmpfs /sys/fs/bpf tmpfs rw 0 0\n"));
    }
}

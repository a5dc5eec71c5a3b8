//! Where the kernel keeps a packet's connection, by its own type information.

use std::{fs, io, path::Path};

use anyhow::{Context as _, Result, ensure};
use zonemeter_common::conntrack::{ConntrackOffsets, TUPLE_BYTES};

use crate::btf::Structures;

pub(crate) const VMLINUX: &str = "/sys/kernel/btf/vmlinux";
/// Where conntrack is a module and the kernel gives modules BTF (5.11 and newer).
const MODULE: &str = "/sys/kernel/btf/nf_conntrack";

/// Finds the offsets of the running kernel.
///
/// # Errors
/// When the kernel has no BTF, or its structures are not as this agent knows them. The programs
/// then do not look, and the kernel's table is asked instead.
pub(crate) fn find() -> Result<ConntrackOffsets> {
    let mut structures = Structures::default();
    structures
        .read(&fs::read(VMLINUX).context(VMLINUX)?)
        .context(VMLINUX)?;
    // Debian's 5.10 has these types in vmlinux although conntrack is a module.
    if structures.size("nf_conn").is_err()
        && let Some(module) = read_if_there(Path::new(MODULE))?
    {
        structures.read(&module).context(MODULE)?;
    }
    offsets(&structures)
}

fn read_if_there(path: &Path) -> Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| path.display().to_string()),
    }
}

fn offsets(structures: &Structures) -> Result<ConntrackOffsets> {
    let tuple = structures.size("nf_conntrack_tuple")?;
    ensure!(
        tuple as usize == TUPLE_BYTES,
        "struct nf_conntrack_tuple has {tuple} bytes, not {TUPLE_BYTES}"
    );
    let original = structures.offset("nf_conn", "tuplehash")?
        + structures.offset("nf_conntrack_tuple_hash", "tuple")?;
    Ok(ConntrackOffsets {
        connection: structures.offset("sk_buff", "_nfct")?,
        original,
        reply: original + structures.size("nf_conntrack_tuple_hash")?,
    })
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    /// The members' bit offsets as bpftool prints them.
    fn bpftool(structure: &str, member: &str) -> u32 {
        let output = Command::new("bpftool")
            .args(["btf", "dump", "file", VMLINUX])
            .output()
            .expect("bpftool is installed by `cargo xtask setup`");
        let text = String::from_utf8(output.stdout).expect("text");
        let head = format!("STRUCT '{structure}' ");
        let mut lines = text.lines().skip_while(|line| !line.contains(&head));
        let line = lines.find(|line| line.contains(&format!("'{member}' ")));
        let bits = line.and_then(|line| line.split("bits_offset=").nth(1));
        bits.and_then(|bits| bits.split_whitespace().next()?.parse::<u32>().ok())
            .expect("a member with an offset")
            / 8
    }

    #[test]
    fn the_running_kernel_has_them_where_bpftool_says() {
        let found = find().expect("a kernel with BTF");
        let original =
            bpftool("nf_conn", "tuplehash") + bpftool("nf_conntrack_tuple_hash", "tuple");
        assert_eq!(found.connection, bpftool("sk_buff", "_nfct"));
        assert_eq!(found.original, original);
        // A hash list node of two pointers and a tuple.
        assert_eq!(found.reply, original + 16 + 40);
    }
}

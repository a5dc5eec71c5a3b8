//! System tools that the lab, the tests and the demo call, and Debian's packages that hold them.

use std::{ffi::OsStr, path::Path};

use anyhow::{Result, ensure};

use super::linker::Linker;
use crate::{
    exec::{self, Cmd},
    image::arch::Arch,
    privilege::Privilege,
    progress,
};

/// A program, and the Debian package that brings it.
const TOOLS: [(&str, &str); 20] = [
    ("bpftool", "bpftool"),
    ("capsh", "libcap2-bin"),
    ("cc", "gcc"),
    ("chromium", "chromium"),
    ("conntrack", "conntrack"),
    ("crun", "crun"),
    ("curl", "curl"),
    ("ethtool", "ethtool"),
    ("ip", "iproute2"),
    ("ip6tables", "iptables"),
    ("iperf3", "iperf3"),
    ("iptables", "iptables"),
    ("nft", "nftables"),
    ("node", "nodejs"),
    ("npm", "npm"),
    ("ping", "iputils-ping"),
    ("sysctl", "procps"),
    ("systemctl", "systemd"),
    ("tc", "iproute2"),
    ("tcpdump", "tcpdump"),
];

/// The same for booting other kernels in an emulator.
const KERNEL_TOOLS: [(&str, &str); 8] = [
    ("apt-cache", "apt"),
    ("busybox", "busybox-static"),
    ("cpio", "cpio"),
    ("depmod", "kmod"),
    ("dpkg-deb", "dpkg"),
    ("ldd", "libc-bin"),
    ("strip", "binutils"),
    ("xz", "xz-utils"),
];

/// Packages to install: sorted, each once.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Packages(Vec<String>);

impl Packages {
    /// Those whose programs or files are not there.
    pub(super) fn missing(linker: &Linker) -> Self {
        let mut names = of_missing_tools(&TOOLS, &exec::search_path());
        names.extend(linker.packages());
        Self::new(names)
    }

    /// Those that building for other architectures takes.
    pub(super) fn of_image(linker: &Linker, arches: &[Arch]) -> Self {
        let mut names = linker.packages();
        let there = |program: &str| exec::find(program, &exec::search_path()).is_some();
        for arch in arches {
            let machine = arch.machine().replace('_', "-");
            if !there(&arch.tool("gcc")) {
                names.push(match arch.is_here() {
                    true => "gcc".to_owned(),
                    false => format!("gcc-{machine}-linux-gnu"),
                });
            }
            let libraries = format!("/usr/{}-linux-gnu/lib/libc.a", arch.machine());
            if !arch.is_here() && !Path::new(&libraries).exists() {
                names.push(format!("libc6-dev-{arch}-cross"));
            }
        }
        Self::new(names)
    }

    /// Those that booting other kernels takes besides.
    pub(super) fn of_kernels(arch: Arch) -> Self {
        let emulator = match arch {
            Arch::Amd64 => ("qemu-system-x86_64", "qemu-system-x86"),
            Arch::Arm64 => ("qemu-system-aarch64", "qemu-system-arm"),
        };
        let mut tools = KERNEL_TOOLS.to_vec();
        tools.push(emulator);
        Self::new(of_missing_tools(&tools, &exec::search_path()))
    }

    fn new(mut names: Vec<String>) -> Self {
        names.sort();
        names.dedup();
        Self(names)
    }

    /// Installs them with apt-get.
    ///
    /// # Errors
    /// Where that cannot be: the whole list and the command, in one message.
    pub(super) fn install(&self, privilege: Privilege) -> Result<()> {
        if self.0.is_empty() {
            return Ok(());
        }
        let names = self.0.join(" ");
        ensure!(
            exec::find("apt-get", &exec::search_path()).is_some(),
            "this machine lacks programs or headers, and has no apt-get to install them. Debian's \
             packages of them are: {names}"
        );
        ensure!(
            privilege != Privilege::Absent,
            "packages are missing, and neither root nor passwordless sudo is at hand. Run:\n  \
             sudo apt-get update && sudo apt-get install --yes {names}"
        );
        progress::quiet_step(&format!("installing {names}"), || {
            exec::run_quietly(apt_get(privilege).arg("update"))?;
            let install = apt_get(privilege).words("install --yes --no-install-recommends");
            exec::run_quietly(install.args(&self.0))
        })
    }
}

/// apt-get that asks nothing and waits for another one to finish.
fn apt_get(privilege: Privilege) -> Cmd {
    privilege
        .command("apt-get")
        .args(["--quiet", "-o", "DPkg::Lock::Timeout=300"])
        .env("DEBIAN_FRONTEND", "noninteractive")
}

fn of_missing_tools(tools: &[(&str, &str)], path: &OsStr) -> Vec<String> {
    tools
        .iter()
        .filter(|(program, _)| exec::find(program, path).is_none())
        .map(|(_, package)| (*package).to_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_package_is_asked_for_once_when_its_program_is_not_there() {
        let folder = tempfile::tempdir().unwrap();
        let packages = Packages::new(of_missing_tools(&TOOLS, folder.path().as_os_str()));
        assert_eq!(
            packages.0.iter().filter(|name| *name == "iproute2").count(),
            1
        );

        for program in ["ip", "tc"] {
            let file = folder.path().join(program);
            std::fs::write(&file, "").unwrap();
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
        }
        let packages = Packages::new(of_missing_tools(&TOOLS, folder.path().as_os_str()));
        assert!(!packages.0.contains(&"iproute2".to_owned()), "{packages:?}");
        assert!(packages.0.contains(&"conntrack".to_owned()), "{packages:?}");
    }

    #[test]
    fn without_privilege_the_message_is_a_command_to_paste() {
        let packages = Packages::new(vec!["tcpdump".to_owned(), "conntrack".to_owned()]);
        let error = packages.install(Privilege::Absent).unwrap_err().to_string();
        assert!(error.contains("conntrack tcpdump"), "{error}");
    }
}

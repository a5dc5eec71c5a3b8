//! One guest from boot to power-off.

use std::{
    io::{BufRead, BufReader},
    path::Path,
};

use anyhow::{Context, Result};
use fs_err as fs;

use super::{archive, debian::Kernel};
use crate::{
    exec::{self, Cmd},
    image::arch::Arch,
    progress,
};

/// Seconds after which a guest hangs.
const DEADLINE: &str = "2400";
const CPUS: &str = "2";
const MEGABYTES: &str = "1536";
/// Lines of the kernel's own messages that are shown when a guest ends badly.
const LAST_WORDS: usize = 15;

/// Boots, lets `say` show each test as it ends, and returns everything that the guest told.
pub(super) fn run(kernel: &Kernel, archives: &[&Path], say: fn(String)) -> Result<String> {
    let folder = tempfile::tempdir()?;
    let [initramfs, console] = ["initramfs", "console"].map(|name| folder.path().join(name));
    archive::join(archives, &initramfs)?;
    let (shown, mut child) = exec::start_piped(emulator(kernel, &initramfs, &console))?;
    let mut printed = String::new();
    for line in BufReader::new(child.stdout.take().context("the guest's output")?).split(b'\n') {
        let line = line.with_context(|| format!("reading `{shown}`"))?;
        let line = String::from_utf8_lossy(&line);
        let line = line.trim_end_matches('\r');
        if line.starts_with("test ") || line.starts_with("@zonemeter begin") {
            say(format!("    {line}"));
        }
        printed.push_str(line);
        printed.push('\n');
    }
    let status = child
        .wait()
        .with_context(|| format!("waiting for `{shown}`"))?;
    if !status.success() || !printed.contains("@zonemeter end lab") {
        progress::fail(&format!(
            "`{shown}` ended with {status}{}",
            last_words(&console)
        ));
    }
    Ok(printed)
}

/// The kernel talks on the first serial line, the tests on the second: neither tears the other's
/// lines apart.
fn emulator(kernel: &Kernel, initramfs: &Path, console: &Path) -> Cmd {
    let machine = Machine::of(kernel.arch);
    let (serial, tests) = (machine.console, machine.tests);
    let mut log = std::ffi::OsString::from("file:");
    log.push(console);
    let emulator = format!("qemu-system-{}", kernel.arch.machine());
    exec::with_what_is_idle(DEADLINE, Path::new(&emulator))
        .args(machine.arguments)
        .args(["-accel", "tcg", "-smp", CPUS, "-m", MEGABYTES])
        .args(["-nodefaults", "-display", "none", "-no-reboot"])
        .arg("-kernel")
        .arg(&kernel.image)
        .arg("-initrd")
        .arg(initramfs)
        .arg("-append")
        .arg(format!(
            "console={serial} quiet panic=-1 rdinit=/init TESTS={tests}"
        ))
        .arg("-serial")
        .arg(log)
        .args(machine.second_line)
}

/// What is emulated, and the names of its serial lines.
struct Machine {
    arguments: &'static [&'static str],
    second_line: &'static [&'static str],
    console: &'static str,
    tests: &'static str,
}

impl Machine {
    fn of(arch: Arch) -> Self {
        match arch {
            // Everything but `cmpxchg16b`, after which the guest's 6.12 kernel panicked.
            Arch::Amd64 => Self {
                arguments: &["-cpu", "max,cx16=off"],
                second_line: &["-serial", "stdio"],
                console: "ttyS0",
                tests: "ttyS1",
            },
            // The core of Graviton2.
            Arch::Arm64 => Self {
                arguments: &["-machine", "virt", "-cpu", "neoverse-n1"],
                second_line: &["-chardev", "stdio,id=t", "-device", "pci-serial,chardev=t"],
                console: "ttyAMA0",
                tests: "ttyS0",
            },
        }
    }
}

fn last_words(console: &Path) -> String {
    let said = fs::read(console).unwrap_or_default();
    let said = String::from_utf8_lossy(&said).into_owned();
    let lines: Vec<&str> = said.lines().collect();
    let last = &lines[lines.len().saturating_sub(LAST_WORDS)..];
    format!("; the kernel's last words:\n{}", last.join("\n"))
}

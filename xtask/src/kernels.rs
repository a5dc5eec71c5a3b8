//! `cargo xtask kernels`: boots other kernels in an emulator and runs the kernel's tests inside.
//!
//! The kernels are Debian's for clouds, downloaded once and only unpacked ([`debian`]). A guest
//! is an initramfs made of the project's own test programs and this machine's tools ([`image`])
//! and the kernel's modules ([`modules`]); it has no disk and no network of its own. It is
//! emulated (TCG), so that it runs where there is no hardware virtualisation, too: a test takes
//! about twenty times as long as outside.

use std::{
    path::PathBuf,
    thread::{self, JoinHandle},
};

use anyhow::{Result, bail};
use fs_err as fs;
use zonemeter_lab::go_tools;

use crate::{
    exec::{self, Cmd},
    image::arch::Arch,
    progress, repository, setup,
    test::{self, Outcome},
};

mod archive;
mod debian;
mod guest;
mod image;
mod modules;
mod programs;
mod report;
mod wanted;

use programs::Programs;
use report::Row;
use wanted::Wanted;

const DOCUMENT: &str = "docs/kernels.md";

/// The oldest that the agent supports, those of EKS's node images, what is to come, and one with
/// `PREEMPT_RT`; on arm64 one with and one without TCX, and one with larger pages.
const MATRIX: [&str; 9] = [
    "5.10",
    "6.1",
    "6.12",
    "6.18",
    "newest",
    "6.12-rt",
    "6.1-arm64",
    "6.12-arm64",
    "6.12-arm64-16k",
];
const OLDEST: &str = "5.10";

/// Which kernels.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Series such as 6.1, 6.12-rt or 6.1-arm64, or newest [default: 5.10 6.1 6.12 6.18 newest
    /// 6.12-rt 6.1-arm64 6.12-arm64 6.12-arm64-16k]
    #[arg(value_name = "VERSION")]
    versions: Vec<Wanted>,
    /// Only the oldest supported one
    #[arg(long, conflicts_with = "versions")]
    oldest: bool,
    /// Look for newer packages of kernels that are here already
    #[arg(long)]
    update: bool,
    /// Write the result to docs/kernels.md; takes all kernels
    #[arg(long, conflicts_with_all = ["versions", "oldest"])]
    write: bool,
}

/// The command.
pub(crate) fn run(args: &Args) -> Result<()> {
    let wanted: Vec<Wanted> = match (args.oldest, args.versions.is_empty()) {
        (true, _) => vec![OLDEST.parse()?],
        (false, true) => MATRIX
            .iter()
            .map(|version| version.parse())
            .collect::<Result<_>>()?,
        (false, false) => args.versions.clone(),
    };
    let mut rows = Vec::new();
    for arch in Arch::ALL {
        let of_arch: Vec<&Wanted> = wanted.iter().filter(|one| one.arch() == arch).collect();
        if of_arch.is_empty() {
            continue;
        }
        setup::ensure_for_kernels(arch)?;
        let userland = userland(arch)?;
        for wanted in of_arch {
            rows.push(row(wanted, args.update, &userland)?);
        }
    }
    let table = report::table(&rows);
    progress::say(&table);
    if args.write {
        let commit = ["rev-parse", "--short", "HEAD"];
        let commit = exec::output(Cmd::new("git").args(commit).current_dir(repository::root()))?;
        let text = report::document(&table, commit.trim());
        fs::write(repository::root().join(DOCUMENT), text)?;
        progress::say(&format!("written to {DOCUMENT}"));
    }
    let failed: Vec<&str> = rows
        .iter()
        .filter(|row| !row.is_green())
        .map(Row::release)
        .collect();
    match failed[..] {
        [] => Ok(()),
        _ => bail!("not green: {}", failed.join(", ")),
    }
}

/// The kernel's tests on the oldest supported kernel, beside other tests: the guest takes the
/// processor time that they leave.
pub(crate) struct Oldest(JoinHandle<Result<Row>>);

impl Oldest {
    /// Gets the kernel and boots it, beside what follows. The agent and the tests are packed first:
    /// they may be built anew.
    pub(crate) fn start(programs: &[test::Executable]) -> Result<Self> {
        setup::ensure_for_kernels(Arch::Amd64)?;
        let programs = Programs::built(programs)?;
        let userland = progress::quiet_step("packing the guest", || image::pack(&programs))?;
        let wanted = OLDEST.parse()?;
        Ok(Self(thread::spawn(move || {
            let kernel = debian::obtain(&wanted, false)?;
            let modules = modules::pack(&kernel)?;
            // As a whole: its folder lasts as long as it does.
            let userland = userland;
            let archives = [userland.archive.as_path(), modules.as_path()];
            let printed = guest::run(&kernel, &archives, progress::say_at_next_step)?;
            Ok(Row::read(&kernel.release, &printed))
        })))
    }

    /// Waits for its end.
    pub(crate) fn wait(self) -> Result<Outcome> {
        let row = progress::quiet_step("the oldest kernel", || match self.0.join() {
            Ok(row) => row,
            Err(panic) => std::panic::resume_unwind(panic),
        })?;
        progress::say(&format!("    {row}"));
        Ok(row.outcome)
    }
}

fn userland(arch: Arch) -> Result<image::Userland> {
    let programs = progress::step(
        &format!("building the agent and the tests for {arch}"),
        || match arch.is_here() {
            true => Programs::built(&test::build_tests()?),
            false => Programs::cross(arch),
        },
    )?;
    progress::quiet_step("packing the guest", || image::pack(&programs))
}

fn row(wanted: &Wanted, update: bool, userland: &image::Userland) -> Result<Row> {
    let kernel = debian::obtain(wanted, update)?;
    let modules = modules::pack(&kernel)?;
    progress::step(&format!("Linux {}", kernel.release), || {
        let say = |line: String| progress::say(&line);
        let printed = guest::run(&kernel, &[&userland.archive, &modules], say)?;
        let row = Row::read(&kernel.release, &printed);
        progress::say(&format!("    {row}"));
        if !row.is_green() {
            keep(&kernel.release, &printed)?;
        }
        Ok(row)
    })
}

/// Keeps what a guest printed whose tests failed.
fn keep(release: &str, printed: &str) -> Result<()> {
    let folder = repository::root().join("target/kernels");
    let file = folder.join(format!("{release}.log"));
    fs::create_dir_all(&folder)?;
    fs::write(&file, printed)?;
    progress::fail(&format!("what it printed is in {}", file.display()));
    Ok(())
}

/// Where kernels are kept, out of reach of `cargo clean`.
fn cache() -> Result<PathBuf> {
    Ok(go_tools::cache()?.join("kernels"))
}

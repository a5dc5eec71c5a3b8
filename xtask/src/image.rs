//! `cargo xtask image`: the agent as a container image for every architecture, from nothing but
//! its static executable, CA certificates and licences.
//!
//! The compiler is the pinned one and no path of this machine gets into the executable ([`root`]);
//! times, owners and order in the layers are fixed ([`layout`]): the same sources give the same
//! digest.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail, ensure};
use fs_err as fs;

use crate::{
    exec::{self, Cmd},
    progress, repository, setup,
};

pub(crate) mod arch;
mod layout;
mod root;
mod sbom;

use arch::Arch;
pub(crate) use layout::{digest, gzip, tar};
use root::Profile;

/// Compressed, and for each architecture.
const LARGEST: u64 = 20_000_000;

/// Which images.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Architectures [default: amd64 arm64]
    #[arg(long = "arch", value_enum)]
    arches: Vec<Arch>,
    /// This machine's architecture with an unoptimised agent, in target/image-dev: for tests
    #[arg(long, conflicts_with = "arches")]
    dev: bool,
    /// Build everything a second time elsewhere, and compare the digests
    #[arg(long, conflicts_with = "dev")]
    twice: bool,
}

/// The command.
pub(crate) fn run(args: &Args) -> Result<()> {
    if args.dev {
        return dev().map(|_| ());
    }
    let image = release(&args.arches)?;
    if args.twice {
        let copy = copy_of_the_sources()?;
        progress::step("the same from another folder", || {
            same_digest(&image, &args.arches, copy.path())
        })?;
    }
    Ok(())
}

/// An image as it was built.
pub(crate) struct Image {
    /// The OCI layout.
    pub(crate) layout: PathBuf,
    /// Of the index over all architectures.
    pub(crate) digest: String,
    /// The root file system of the first architecture.
    pub(crate) root: PathBuf,
    /// Software bills of material, one for each architecture.
    pub(crate) sboms: Vec<PathBuf>,
}

/// What a release holds, in `target/image`; all architectures where none is named.
///
/// # Errors
/// Something does not build, or is larger than promised.
pub(crate) fn release(arches: &[Arch]) -> Result<Image> {
    let arches = match arches {
        [] => &Arch::ALL,
        _ => arches,
    };
    setup::ensure_for_image(arches)?;
    sbom::ensure()?;
    let folder = repository::root().join("target/image");
    let mut image = build(&folder, arches, Profile::Release)?;
    for arch in arches {
        image.sboms.push(sbom::write(&folder, *arch)?);
    }
    Ok(image)
}

/// An image of what `cargo build` makes, in `target/image-dev`, for tests of how it runs.
///
/// # Errors
/// As [`release`].
pub(crate) fn dev() -> Result<Image> {
    let folder = repository::root().join("target/image-dev");
    build(&folder, &[Arch::of_this_machine()?], Profile::Dev)
}

fn build(folder: &Path, arches: &[Arch], profile: Profile) -> Result<Image> {
    let roots: Vec<_> = arches
        .iter()
        .map(|arch| Ok((*arch, root::lay_out(folder, *arch, profile)?)))
        .collect::<Result<_>>()?;
    let layout = folder.join("oci");
    let written = progress::quiet_step("writing the image", || layout::write(&layout, &roots))?;
    for (arch, bytes) in &written.sizes {
        progress::say(&format!("    {arch}: {bytes} bytes compressed"));
        ensure!(
            *bytes <= LARGEST || profile == Profile::Dev,
            "the image for {arch} has {bytes} bytes compressed, more than {LARGEST}"
        );
    }
    let digest = written.digest;
    progress::say(&format!("    {digest} in {}", layout.display()));
    let [(_, root), ..] = &roots[..] else {
        bail!("an image without an architecture");
    };
    Ok(Image {
        layout,
        digest,
        root: root.clone(),
        sboms: Vec::new(),
    })
}

/// Builds from `sources` with a target folder of its own.
fn same_digest(image: &Image, arches: &[Arch], sources: &Path) -> Result<()> {
    let again = Cmd::cargo()
        .current_dir(sources)
        .env("ZONEMETER_REVISION", root::revision())
        .args(["xtask", "image"])
        .args(arches.iter().flat_map(|arch| ["--arch", arch.name()]));
    exec::run(again)?;
    let digest = layout::digest(&sources.join("target/image/oci"))?;
    if digest != image.digest {
        bail!(
            "two builds differ: {} and {digest}, built in {}",
            image.digest,
            sources.display()
        );
    }
    progress::say(&format!("    the same digest again: {digest}"));
    Ok(())
}

/// What git tracks, in a temporary folder.
fn copy_of_the_sources() -> Result<tempfile::TempDir> {
    let copy = tempfile::tempdir()?;
    for file in repository::files()? {
        let to = copy.path().join(&file);
        fs::create_dir_all(to.parent().unwrap_or(copy.path()))?;
        fs::copy(repository::root().join(&file), &to)?;
    }
    Ok(copy)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(name: &str) -> String {
        fs::read_to_string(repository::root().join(name)).unwrap()
    }

    /// It builds with the pinned toolchain, and from what its list of exceptions lets in.
    #[test]
    fn the_dockerfile_has_the_toolchain_and_every_package() {
        let from = format!(
            "FROM --platform=$BUILDPLATFORM rust:{}-",
            setup::toolchain::pinned::RUST
        );
        assert!(read("deploy/Dockerfile").contains(&from), "{from}");
        let ignored = read("deploy/Dockerfile.dockerignore");
        let kept: Vec<_> = ignored
            .lines()
            .filter_map(|line| line.strip_prefix('!'))
            .collect();
        let manifest = read("Cargo.toml");
        let (_, members) = manifest.split_once("members = [").unwrap();
        let (members, _) = members.split_once(']').unwrap();
        for member in members.split('"').skip(1).step_by(2) {
            let top = member.split('/').next().unwrap();
            assert!(kept.contains(&top), "{member} is not in the context");
        }
    }
}

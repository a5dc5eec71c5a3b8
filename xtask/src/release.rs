//! `cargo xtask release --dry-run`: everything that a release publishes, in
//! `target/release-<version>`. Publishing is for whoever owns the registry: `docs/image.md`.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use fs_err as fs;

use crate::{
    exec::{self, Cmd},
    image::{self, Image},
    manifests, progress, repository,
};

const VERSION: &str = env!("CARGO_PKG_VERSION");
const CHARTS: &str = "deploy/helm";
const MANIFESTS: &str = "deploy/kubernetes";
const CHANGES: &str = "CHANGELOG.md";
const SUMS: &str = "SHA256SUMS";

/// What to do with it.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Only make the files; there is nothing else that this command does
    #[arg(long)]
    dry_run: bool,
    /// With the unoptimised image of the tests, in a temporary folder: whether all fits together
    #[arg(long)]
    dev: bool,
}

/// The command.
pub(crate) fn run(args: &Args) -> Result<()> {
    if !args.dry_run {
        bail!("nothing is published from here: say --dry-run, then push as docs/image.md tells");
    }
    if args.dev {
        return check(&image::dev()?);
    }
    check_versions()?;
    let image = image::release(&[])?;
    let folder = repository::root().join(format!("target/release-{VERSION}"));
    assemble(&image, &folder)?;
    check_files(&image, &folder)?;
    progress::say(&format!("zonemeter {VERSION}, image {}", image.digest));
    progress::say(&format!("{}:", folder.display()));
    progress::say(&fs::read_to_string(folder.join(SUMS))?);
    Ok(())
}

/// A release of an image that is there already, made twice and looked at.
///
/// # Errors
/// The two differ, or something in them is not as it should be.
pub(crate) fn check(image: &Image) -> Result<()> {
    check_versions()?;
    let folders = tempfile::tempdir()?;
    let [first, second] = ["first", "second"].map(|name| folders.path().join(name));
    for folder in [&first, &second] {
        assemble(image, folder)?;
    }
    let [sums, again] = [&first, &second].map(|folder| fs::read_to_string(folder.join(SUMS)));
    let sums = sums?;
    ensure!(sums == again?, "two releases of the same image differ");
    progress::say(&sums);
    check_files(image, &first)
}

/// Writes all files in place of earlier ones.
fn assemble(image: &Image, folder: &Path) -> Result<()> {
    exec::emptied(folder)?;
    let parts = ["blobs", "index.json", "oci-layout"];
    image::tar(&image.layout, &parts, &folder.join(image_name()))?;
    for file in image.sboms.iter().chain(&manifests()?) {
        let name = file.file_name().context("a file's name")?;
        fs::copy(file, folder.join(name))?;
    }
    let package = folder.join(format!("zonemeter-{VERSION}.tar"));
    let files = repository::files()?;
    // As `helm package` does, files only; nothing that git ignores.
    let mut files: Vec<&str> = files
        .iter()
        .filter_map(|file| file.strip_prefix(CHARTS)?.strip_prefix('/'))
        .collect();
    files.sort_unstable();
    image::tar(&repository::root().join(CHARTS), &files, &package)?;
    let packed = image::gzip(&package)?;
    fs::rename(&packed, folder.join(chart_name()))?;
    write_sums(folder)
}

fn image_name() -> String {
    format!("zonemeter-{VERSION}-image.tar")
}

fn chart_name() -> String {
    format!("zonemeter-{VERSION}.tgz")
}

/// Checksums, the image's digest out of its archive, and that Helm makes the same of the package as
/// of the folder.
fn check_files(image: &Image, folder: &Path) -> Result<()> {
    let verify = Cmd::new("sha256sum").args(["--check", "--strict", "--quiet", SUMS]);
    exec::run_quietly(verify.current_dir(folder))?;
    let unpacked = tempfile::tempdir()?;
    let unpack = Cmd::new("tar").arg("--extract").arg("--file");
    let unpack = unpack.arg(folder.join(image_name()));
    exec::run_quietly(unpack.current_dir(unpacked.path()))?;
    let digest = image::digest(unpacked.path())?;
    ensure!(
        digest == image.digest,
        "the archive holds {digest}, not {}",
        image.digest
    );
    manifests::same_from(&folder.join(chart_name()))
}

fn manifests() -> Result<Vec<PathBuf>> {
    let folder = repository::root().join(MANIFESTS);
    let mut files: Vec<PathBuf> = fs::read_dir(&folder)?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<_>>()?;
    files.retain(|file| file.extension().is_some_and(|kind| kind == "yaml"));
    files.sort();
    Ok(files)
}

/// Chart, manifests and the list of changes say the version of the workspace.
fn check_versions() -> Result<()> {
    let read = |name: &str| fs::read_to_string(repository::root().join(name));
    let file = format!("{CHARTS}/zonemeter/Chart.yaml");
    let text = read(&file)?;
    for key in ["version", "appVersion"] {
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(&format!("{key}: ")));
        let said = line.unwrap_or_default().trim_matches('"');
        ensure!(
            said == VERSION,
            "{file}: {key} is {said:?}, Cargo.toml says {VERSION}"
        );
    }
    ensure!(
        read(CHANGES)?.contains(&format!("\n## {VERSION}")),
        "{CHANGES} says nothing of {VERSION}"
    );
    for file in manifests()? {
        let text = fs::read_to_string(&file)?;
        let images = text
            .lines()
            .filter_map(|line| line.trim().strip_prefix("image: "));
        for image in images {
            ensure!(
                image.trim_matches('"').ends_with(&format!(":{VERSION}")),
                "{}: the image is {image}, Cargo.toml says {VERSION}",
                file.display()
            );
        }
    }
    Ok(())
}

fn write_sums(folder: &Path) -> Result<()> {
    let mut names: Vec<_> = fs::read_dir(folder)?
        .map(|entry| Ok(entry?.file_name()))
        .collect::<Result<_>>()?;
    names.sort();
    let sums = exec::output(Cmd::new("sha256sum").args(names).current_dir(folder))?;
    Ok(fs::write(folder.join(SUMS), sums)?)
}

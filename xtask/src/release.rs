//! `cargo xtask release --dry-run`: everything that a release publishes, in
//! `target/release-<version>`. Publishing is for whoever owns the registry: `docs/image.md`.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail, ensure};

use crate::{
    exec::{self, Cmd},
    image, progress, repository,
};

const VERSION: &str = env!("CARGO_PKG_VERSION");
const CHARTS: &str = "deploy/helm";
const MANIFESTS: &str = "deploy/kubernetes";
const SUMS: &str = "SHA256SUMS";

/// What to do with it.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Only make the files; there is nothing else that this command does
    #[arg(long)]
    dry_run: bool,
}

/// The command.
pub(crate) fn run(args: &Args) -> Result<()> {
    if !args.dry_run {
        bail!("nothing is published from here: say --dry-run, then push as docs/image.md tells");
    }
    let chart = repository::root().join(CHARTS).join("zonemeter");
    let manifests = manifests()?;
    check_versions(&chart, &manifests)?;
    let image = image::release(&[])?;
    let folder = repository::root().join(format!("target/release-{VERSION}"));
    if folder.exists() {
        fs::remove_dir_all(&folder).with_context(|| format!("removing {}", folder.display()))?;
    }
    fs::create_dir_all(&folder)?;
    let archive = folder.join(format!("zonemeter-{VERSION}-image.tar"));
    image::tar(
        &image.layout,
        &["blobs", "index.json", "oci-layout"],
        &archive,
    )?;
    for file in image.sboms.iter().chain(&manifests) {
        let name = file.file_name().context("a file's name")?;
        fs::copy(file, folder.join(name)).with_context(|| file.display().to_string())?;
    }
    if chart.is_dir() {
        let package = folder.join(format!("zonemeter-{VERSION}.tar"));
        image::tar(&repository::root().join(CHARTS), &["zonemeter"], &package)?;
        let packed = image::gzip(&package)?;
        fs::rename(&packed, package.with_extension("tgz"))?;
    }
    write_sums(&folder)?;
    progress::say(&format!("zonemeter {VERSION}, image {}", image.digest));
    progress::say(&format!("{}:", folder.display()));
    progress::say(&fs::read_to_string(folder.join(SUMS))?);
    Ok(())
}

fn manifests() -> Result<Vec<PathBuf>> {
    let folder = repository::root().join(MANIFESTS);
    let entries = fs::read_dir(&folder).with_context(|| format!("listing {MANIFESTS}"))?;
    let mut files: Vec<PathBuf> = entries
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<_>>()?;
    files.retain(|file| file.extension().is_some_and(|kind| kind == "yaml"));
    files.sort();
    Ok(files)
}

/// Chart and manifests say the version of the workspace.
fn check_versions(chart: &Path, manifests: &[PathBuf]) -> Result<()> {
    if chart.is_dir() {
        let file = chart.join("Chart.yaml");
        let text = fs::read_to_string(&file).with_context(|| file.display().to_string())?;
        for key in ["version", "appVersion"] {
            let line = text
                .lines()
                .find_map(|line| line.strip_prefix(&format!("{key}: ")));
            let said = line.unwrap_or_default().trim_matches('"');
            ensure!(
                said == VERSION,
                "{}: {key} is {said:?}, Cargo.toml says {VERSION}",
                file.display()
            );
        }
    }
    for file in manifests {
        let text = fs::read_to_string(file).with_context(|| file.display().to_string())?;
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
    fs::write(folder.join(SUMS), sums).context("writing the checksums")
}

//! Debian's cloud kernels: found in the suites' package lists, downloaded, unpacked, never
//! installed. apt runs with lists and caches of its own, so that this machine's packages stay as
//! they are, whatever release it has.

use std::{
    fs,
    path::{Path, PathBuf},
    str::FromStr,
};

use anyhow::{Context, Result, bail, ensure};

use super::cache;
use crate::{
    exec::{self, Cmd},
    progress,
};

/// Where apt is told which mirror this machine uses.
const SOURCES: [&str; 2] = ["/etc/apt/sources.list", "/etc/apt/sources.list.d"];
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";
/// From the oldest on: the first that has a series is taken.
const SUITES: [&str; 5] = ["bullseye", "bookworm", "trixie", "trixie-backports", "sid"];
const PREFIX: &str = "linux-image-";
/// Debian builds these for amd64 and arm64; the guests are amd64.
const SUFFIX: &str = "-cloud-amd64";

/// The mirror of Debian's main archive that this machine's own packages come from.
fn mirror() -> Result<String> {
    let mut files = vec![PathBuf::from(SOURCES[0])];
    if let Ok(folder) = fs::read_dir(SOURCES[1]) {
        files.extend(folder.flatten().map(|entry| entry.path()));
    }
    let texts = files
        .iter()
        .filter_map(|file| fs::read_to_string(file).ok());
    let words: Vec<String> = texts
        .flat_map(|text| {
            text.split_whitespace()
                .map(str::to_owned)
                .collect::<Vec<_>>()
        })
        .collect();
    let mirror = words
        .into_iter()
        .find(|word| word.starts_with("http") && word.trim_end_matches('/').ends_with("/debian"));
    mirror.context("no mirror of Debian in apt's sources: this machine is not a Debian")
}

/// What the command line asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// The newest of a series, such as 6 and 1.
    Series(u32, u32),
    /// The newest that Debian has.
    Newest,
}

impl FromStr for Wanted {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        if text == "newest" {
            return Ok(Self::Newest);
        }
        let series = text.split_once('.').and_then(|(major, minor)| {
            Some(Self::Series(major.parse().ok()?, minor.parse().ok()?))
        });
        series.with_context(|| format!("{text:?} is neither a series such as 6.1 nor newest"))
    }
}

impl Wanted {
    fn suites(&self) -> &'static [&'static str] {
        match self {
            Self::Series(..) => &SUITES,
            Self::Newest => &SUITES[SUITES.len() - 1..],
        }
    }

    /// The newest of `releases` that fits.
    fn choose(&self, releases: impl Iterator<Item = String>) -> Option<String> {
        let fits = |release: &String| match self {
            Self::Series(major, minor) => numbers(release).starts_with(&[*major, *minor]),
            Self::Newest => true,
        };
        releases.filter(fits).max_by_key(|release| numbers(release))
    }
}

/// An unpacked kernel.
pub(super) struct Kernel {
    /// As `uname -r` says.
    pub(super) release: String,
    /// The image that boots.
    pub(super) image: PathBuf,
    /// Its folder of modules.
    pub(super) modules: PathBuf,
}

/// What is here already is taken, unless `update` asks for the newest of its series; what is
/// newest of all is always asked.
pub(super) fn obtain(wanted: &Wanted, update: bool) -> Result<Kernel> {
    if *wanted != Wanted::Newest
        && !update
        && let Some(release) = wanted.choose(unpacked()?.into_iter())
    {
        return Kernel::at(&cache()?.join(&release), release);
    }
    for suite in wanted.suites() {
        let lists = Lists::of(suite)?;
        if let Some(release) = wanted.choose(lists.releases()?.into_iter()) {
            return lists.unpack(release);
        }
    }
    bail!(
        "none of Debian's suites {} has such a cloud kernel: {wanted:?}",
        SUITES.join(", ")
    )
}

impl Kernel {
    fn at(folder: &Path, release: String) -> Result<Self> {
        let file = |name: &str| {
            ["lib", "usr/lib"].map(|lib| folder.join(lib).join("modules").join(&release).join(name))
        };
        let images = [folder.join(format!("boot/vmlinuz-{release}"))]
            .into_iter()
            .chain(file("vmlinuz"));
        let image = images.into_iter().find(|image| image.is_file());
        let modules = file("").into_iter().find(|modules| modules.is_dir());
        let (Some(image), Some(modules)) = (image, modules) else {
            bail!(
                "{} holds no kernel {release}: remove it and try again",
                folder.display()
            );
        };
        Ok(Self {
            release,
            image,
            modules,
        })
    }
}

/// Releases whose folders are complete.
fn unpacked() -> Result<Vec<String>> {
    let Ok(entries) = fs::read_dir(cache()?) else {
        return Ok(Vec::new()); // nothing was ever downloaded
    };
    let names = entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
    let names: Vec<String> = names.collect::<Result<_>>()?;
    Ok(names
        .into_iter()
        .filter(|name| name.ends_with(SUFFIX))
        .collect())
}

/// The package lists of one suite.
struct Lists {
    folder: PathBuf,
}

impl Lists {
    /// Reads them anew: apt asks the mirror only for what has changed.
    fn of(suite: &str) -> Result<Self> {
        let folder = cache()?.join("apt").join(suite);
        for part in ["lists/partial", "cache/archives/partial"] {
            fs::create_dir_all(folder.join(part))
                .with_context(|| format!("making {}", folder.display()))?;
        }
        ensure!(
            Path::new(KEYRING).is_file(),
            "{KEYRING} is not there, with which Debian's packages are verified: install debian-archive-keyring"
        );
        let mirror = mirror()?;
        let source = format!("deb [arch=amd64 signed-by={KEYRING}] {mirror} {suite} main\n");
        fs::write(folder.join("sources.list"), source).context("writing apt's sources")?;
        fs::write(folder.join("status"), "").context("writing apt's status")?;
        let lists = Self { folder };
        progress::quiet_step(&format!("reading the package lists of {suite}"), || {
            exec::run_quietly(lists.apt("apt-get").arg("update"))
        })?;
        Ok(lists)
    }

    fn releases(&self) -> Result<Vec<String>> {
        let names = exec::output(self.apt("apt-cache").arg("pkgnames").arg(PREFIX))?;
        Ok(names
            .lines()
            .filter_map(release_of)
            .map(str::to_owned)
            .collect())
    }

    /// Unpacks under another name first: what is broken off leaves nothing that looks done.
    fn unpack(&self, release: String) -> Result<Kernel> {
        let folder = cache()?.join(&release);
        if !folder.exists() {
            let unfinished = cache()?.join(format!("{release}.unfinished"));
            progress::quiet_step(&format!("downloading Linux {release}"), || {
                self.download(&release, &unfinished)
            })?;
            fs::rename(&unfinished, &folder).context("finishing the download")?;
        }
        Kernel::at(&folder, release)
    }

    fn download(&self, release: &str, folder: &Path) -> Result<()> {
        let packages = tempfile::tempdir().context("a folder for packages")?;
        exec::run_quietly(
            self.apt("apt-get")
                .arg("download")
                .args(self.packages(release)?)
                .current_dir(packages.path()),
        )?;
        for package in fs::read_dir(packages.path()).context("listing the packages")? {
            exec::run_quietly(
                Cmd::new("dpkg-deb")
                    .arg("--extract")
                    .arg(package?.path())
                    .arg(folder),
            )?;
        }
        Ok(())
    }

    /// Since 7.1 the image's package is empty, and depends on two that hold kernel and modules.
    fn packages(&self, release: &str) -> Result<Vec<String>> {
        let image = format!("{PREFIX}{release}");
        let shown = exec::output(self.apt("apt-cache").arg("depends").arg(&image))?;
        let parts = ["linux-binary-", "linux-modules-"].map(|part| format!("{part}{release}"));
        let mut packages: Vec<String> = parts
            .into_iter()
            .filter(|part| shown.split_whitespace().any(|word| word == part))
            .collect();
        packages.push(image);
        Ok(packages)
    }

    fn apt(&self, program: &str) -> Cmd {
        let folder = self.folder.display();
        let options = [
            format!("Dir::Etc::SourceList={folder}/sources.list"),
            "Dir::Etc::SourceParts=/dev/null".to_owned(),
            format!("Dir::State::Lists={folder}/lists"),
            format!("Dir::State::status={folder}/status"),
            format!("Dir::Cache={folder}/cache"),
            "Acquire::Languages=none".to_owned(),
            "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false".to_owned(),
            "APT::Sandbox::User=root".to_owned(),
        ];
        let options = options
            .into_iter()
            .flat_map(|option| ["-o".to_owned(), option]);
        Cmd::new(program).arg("--quiet").args(options)
    }
}

/// From a package's name; signed images only, where there are both.
fn release_of(package: &str) -> Option<&str> {
    let release = package.strip_prefix(PREFIX)?;
    (release.ends_with(SUFFIX) && release.starts_with(|first: char| first.is_ascii_digit()))
        .then_some(release)
}

/// Every number in a release, in its order: that is how releases compare.
fn numbers(release: &str) -> Vec<u32> {
    let version = release.strip_suffix(SUFFIX).unwrap_or(release);
    version
        .split(|character: char| !character.is_ascii_digit())
        .filter_map(|number| number.parse().ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choose(wanted: &str) -> Option<String> {
        let packages = [
            "linux-image-6.1.0-47-cloud-amd64",
            "linux-image-6.1.0-50-cloud-amd64",
            "linux-image-6.1.0-50-cloud-amd64-unsigned",
            "linux-image-6.12.9+deb13-cloud-amd64",
            "linux-image-6.12.107+deb13-cloud-amd64",
            "linux-image-6.12.999+deb13-amd64",
            "linux-image-cloud-amd64",
        ];
        let releases = packages
            .into_iter()
            .filter_map(release_of)
            .map(str::to_owned);
        wanted.parse::<Wanted>().unwrap().choose(releases)
    }

    #[test]
    fn the_newest_of_a_series_is_chosen_by_number() {
        assert_eq!(choose("6.1").as_deref(), Some("6.1.0-50-cloud-amd64"));
        assert_eq!(
            choose("6.12").as_deref(),
            Some("6.12.107+deb13-cloud-amd64")
        );
        assert_eq!(
            choose("newest").as_deref(),
            Some("6.12.107+deb13-cloud-amd64")
        );
        assert_eq!(choose("5.10"), None);
    }

    #[test]
    fn what_is_no_series_is_refused() {
        for text in ["6", "6.x", "latest", ""] {
            assert!(text.parse::<Wanted>().is_err(), "{text}");
        }
    }
}

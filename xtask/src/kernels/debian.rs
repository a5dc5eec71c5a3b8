//! Debian's cloud kernels: found in the suites' package lists, downloaded, unpacked, never
//! installed. apt runs with lists and caches of its own, so that this machine's packages stay as
//! they are, whatever release it has.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use fs_err as fs;

use super::{
    cache,
    wanted::{PREFIX, Version, Wanted, is_release, release_of},
};
use crate::{
    exec::{self, Cmd},
    image::arch::Arch,
    progress,
};

const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";
/// From the oldest on: the first that has a series is taken.
const SUITES: [&str; 5] = ["bullseye", "bookworm", "trixie", "trixie-backports", "sid"];

/// The mirror of Debian's main archive that this machine's own packages come from.
fn mirror() -> Result<String> {
    let ask = Cmd::new("apt-get").args(["indextargets", "--format", "$(REPO_URI)"]);
    let all = exec::output(ask.arg("Created-By: Packages"))?;
    let mut mirrors = all.lines().map(|uri| uri.trim_end_matches('/'));
    let mirror = mirrors.find(|uri| uri.ends_with("/debian"));
    let mirror = mirror.context("no mirror of Debian in apt's sources: this machine is no Debian");
    mirror.map(str::to_owned)
}

/// An unpacked kernel.
pub(super) struct Kernel {
    pub(super) arch: Arch,
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
    if wanted.version != Version::Newest
        && !update
        && let Some(release) = wanted.choose(unpacked()?.into_iter())
    {
        return Kernel::at(wanted.arch(), &cache()?.join(&release), release);
    }
    // What is newest of all is in the last.
    let suites = match wanted.version {
        Version::Series(..) => &SUITES[..],
        Version::Newest => &SUITES[SUITES.len() - 1..],
    };
    for suite in suites {
        let lists = Lists::of(suite, wanted.arch())?;
        if let Some(release) = wanted.choose(lists.releases()?.into_iter()) {
            return lists.unpack(release);
        }
    }
    bail!(
        "none of Debian's suites {} has such a kernel: {wanted:?}",
        SUITES.join(", ")
    )
}

impl Kernel {
    fn at(arch: Arch, folder: &Path, release: String) -> Result<Self> {
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
            arch,
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
    Ok(names.into_iter().filter(|name| is_release(name)).collect())
}

/// The package lists of one suite and architecture.
pub(super) struct Lists {
    arch: Arch,
    folder: PathBuf,
}

impl Lists {
    /// Reads them anew: apt asks the mirror only for what has changed.
    pub(super) fn of(suite: &str, arch: Arch) -> Result<Self> {
        let folder = cache()?.join("apt").join(format!("{suite}-{arch}"));
        for part in ["lists/partial", "cache/archives/partial"] {
            fs::create_dir_all(folder.join(part))?;
        }
        ensure!(
            Path::new(KEYRING).is_file(),
            "{KEYRING} is not there, with which Debian's packages are verified: install debian-archive-keyring"
        );
        let mirror = mirror()?;
        let source = format!("deb [arch={arch} signed-by={KEYRING}] {mirror} {suite} main\n");
        fs::write(folder.join("sources.list"), source)?;
        fs::write(folder.join("status"), "")?;
        let lists = Self { arch, folder };
        progress::quiet_step(
            &format!("reading the package lists of {suite} for {arch}"),
            || exec::run_quietly(lists.apt("apt-get").arg("update")),
        )?;
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

    /// Unpacks these packages and all that they depend on into `folder`.
    pub(super) fn unpack_with_dependencies(&self, packages: &[&str], folder: &Path) -> Result<()> {
        let install = "install --yes --download-only --no-install-recommends";
        exec::run_quietly(self.apt("apt-get").words(install).args(packages))?;
        let archives = self.folder.join("cache/archives");
        extract_all(&archives, folder)?;
        // What is kept would come along the next time, too.
        exec::run_quietly(self.apt("apt-get").arg("clean"))
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
        Kernel::at(self.arch, &folder, release)
    }

    fn download(&self, release: &str, folder: &Path) -> Result<()> {
        let packages = tempfile::tempdir()?;
        let download = self.apt("apt-get").arg("download");
        let download = download.args(self.packages(release)?);
        exec::run_quietly(download.current_dir(packages.path()))?;
        extract_all(packages.path(), folder)
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
            format!("APT::Architecture={}", self.arch),
            format!("APT::Architectures::={}", self.arch),
        ];
        let options = options
            .into_iter()
            .flat_map(|option| ["-o".to_owned(), option]);
        Cmd::new(program).arg("--quiet").args(options)
    }
}

/// Unpacks every package in `packages`.
fn extract_all(packages: &Path, folder: &Path) -> Result<()> {
    for entry in fs::read_dir(packages)? {
        let package = entry?.path();
        if package.extension().is_some_and(|kind| kind == "deb") {
            let extract = Cmd::new("dpkg-deb").arg("--extract");
            exec::run_quietly(extract.arg(package).arg(folder))?;
        }
    }
    Ok(())
}

//! What is in the image: the executable, CA certificates, licences.

use std::{
    fs::Permissions,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};
use base64::{Engine, engine::general_purpose::STANDARD};
use fs_err as fs;

use super::Arch;
use crate::{
    exec::{self, Cmd},
    progress, repository,
    setup::toolchain,
    test,
};

/// Top folders of the root file system.
pub(super) const FOLDERS: [&str; 2] = ["etc", "usr"];

const LICENSES: [&str; 2] = ["LICENSE-APACHE", "LICENSE-MIT"];

/// How the agent is compiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Profile {
    /// With the pinned toolchain, optimised.
    Release,
    /// With the active toolchain; takes what `cargo build` has already built.
    Dev,
}

/// Builds and lays out the root file system of `arch` below `folder`.
pub(super) fn lay_out(folder: &Path, arch: Arch, profile: Profile) -> Result<PathBuf> {
    let what = format!("building the agent for {arch}");
    let executable = progress::step(&what, || match profile {
        Profile::Release => release(folder, arch),
        Profile::Dev => dev(),
    })?;
    let root = folder.join("rootfs").join(arch.name());
    exec::emptied(&root)?;
    // Some 70 MB of an unoptimised agent are line numbers.
    let place = root.join("usr/bin/zonemeter");
    fs::create_dir_all(root.join("usr/bin"))?;
    let strip = Cmd::new(arch.tool("strip")).args(["--strip-debug", "-o"]);
    exec::run(strip.arg(&place).arg(&executable))?;
    if profile == Profile::Release {
        names_no_folder(&place)?;
    }
    put(&root, "etc/ssl/certs/ca-certificates.crt", &certificates())?;
    for license in LICENSES {
        let text = fs::read_to_string(repository::root().join(license))?;
        let name = format!("usr/share/licenses/zonemeter/{license}");
        put(&root, &name, &text)?;
    }
    fs::set_permissions(&place, Permissions::from_mode(0o755))?;
    Ok(root)
}

/// Into a target folder of its own: other flags would build everything anew in the usual one.
fn release(folder: &Path, arch: Arch) -> Result<PathBuf> {
    let target = folder.join("build");
    let build = toolchain::pinned_cargo()
        .env("CARGO_ENCODED_RUSTFLAGS", flags()?.join("\x1f"))
        .env(&arch.linker_variable(), arch.tool("gcc"))
        .env("ZONEMETER_REVISION", revision())
        .words("build --locked --release --package zonemeter-agent --bin zonemeter")
        .args(["--target", &arch.target(), "--target-dir"])
        .arg(&target);
    exec::run(build)?;
    Ok(target.join(arch.target()).join("release/zonemeter"))
}

/// Only linking differs from the agent that the tests drive.
fn dev() -> Result<PathBuf> {
    let build = Cmd::cargo()
        .words("rustc --locked --package zonemeter-agent --bin zonemeter")
        .args(test::AS_IN_TESTS)
        .args(["--", "-C", "target-feature=+crt-static"]);
    exec::run(build)?;
    Ok(repository::target_folder()?.join("debug/zonemeter"))
}

/// Static, and with names in place of this machine's folders.
fn flags() -> Result<Vec<String>> {
    let mut flags = vec!["-Ctarget-feature=+crt-static".to_owned()];
    for (folder, name) in folders()? {
        flags.push(format!("--remap-path-prefix={}={name}", folder.display()));
    }
    Ok(flags)
}

/// Where sources lie on this machine, and what the executable says in place of it. The last that
/// fits holds.
fn folders() -> Result<Vec<(PathBuf, &'static str)>> {
    let cargo = exec::cargo_home().context("neither CARGO_HOME nor HOME is set")?;
    let sources = cargo.join("registry/src");
    // With its sources beside it, the toolchain names the standard library's by where they lie.
    let mut folders = vec![
        (repository::root(), "zonemeter"),
        (toolchain::sysroot()?, "rust"),
    ];
    for registry in fs::read_dir(&sources)? {
        folders.push((registry?.path(), "cargo"));
    }
    Ok(folders)
}

/// Fails where the executable names a source by a folder of this machine: another one would make
/// other bytes.
fn names_no_folder(executable: &Path) -> Result<()> {
    let content = fs::read(executable)?;
    for (folder, _) in folders()? {
        // The repository may lie in a folder that other paths end with, such as /zonemeter.
        let sources = match folder == repository::root() {
            true => folder.join("agent"),
            false => folder,
        };
        let name = format!("{}/", sources.display());
        let mut windows = content.windows(name.len());
        ensure!(
            !windows.any(|window| window == name.as_bytes()),
            "{} names the folder {name} of this machine",
            executable.display()
        );
    }
    Ok(())
}

/// The commit, for `zonemeter_build_info`; empty where git cannot tell.
pub(super) fn revision() -> String {
    if let Ok(given) = std::env::var("ZONEMETER_REVISION") {
        return given;
    }
    let ask = Cmd::new("git").words("rev-parse HEAD");
    let said = exec::output(ask.current_dir(repository::root()));
    said.map(|commit| commit.trim().to_owned())
        .unwrap_or_default()
}

/// Mozilla's roots as `Cargo.lock` pins them, in the form that TLS libraries read.
fn certificates() -> String {
    let mut text = String::new();
    for certificate in webpki_root_certs::TLS_SERVER_ROOT_CERTS {
        text.push_str("-----BEGIN CERTIFICATE-----\n");
        let encoded = STANDARD.encode(certificate);
        for line in encoded.as_bytes().chunks(64) {
            text.push_str(&String::from_utf8_lossy(line));
            text.push('\n');
        }
        text.push_str("-----END CERTIFICATE-----\n");
    }
    text
}

fn put(root: &Path, name: &str, text: &str) -> Result<()> {
    let file = root.join(name);
    fs::create_dir_all(file.parent().unwrap_or(root))?;
    Ok(fs::write(&file, text)?)
}

//! The image as files: an OCI image layout with one index over all architectures
//! (image-spec 1.1, `image-layout.md`). Nothing in it tells when, where or by whom it was written.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use fs_err as fs;
use serde_json::{Value, json};

use super::{Arch, root};
use crate::exec::{self, Cmd};

const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
/// How the tag of an index is said in a layout.
const TAG: &str = "org.opencontainers.image.ref.name";

/// What was written.
pub(super) struct Written {
    /// Of the index.
    pub(super) digest: String,
    /// Compressed bytes by architecture: what a node pulls.
    pub(super) sizes: Vec<(Arch, u64)>,
}

/// Writes the layout of these root file systems to `folder`, in place of an earlier one.
pub(super) fn write(folder: &Path, roots: &[(Arch, PathBuf)]) -> Result<Written> {
    exec::emptied(folder)?;
    let layout = Layout(folder);
    fs::create_dir_all(layout.blobs())?;
    let mut manifests = Vec::new();
    let mut sizes = Vec::new();
    for (arch, root) in roots {
        let (mut manifest, bytes) = layout.image(*arch, root)?;
        manifest["platform"] = json!({"architecture": arch.name(), "os": "linux"});
        manifests.push(manifest);
        sizes.push((*arch, bytes));
    }
    let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests});
    let mut index = layout.blob(INDEX, &index)?;
    let digest = text(&index, "digest");
    index["annotations"] = json!({TAG: env!("CARGO_PKG_VERSION")});
    let top = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": [index]});
    fs::write(folder.join("index.json"), top.to_string())?;
    fs::write(
        folder.join("oci-layout"),
        json!({"imageLayoutVersion": "1.0.0"}).to_string(),
    )?;
    Ok(Written { digest, sizes })
}

/// The digest of the index in a layout.
///
/// # Errors
/// It is no layout.
pub(crate) fn digest(folder: &Path) -> Result<String> {
    let file = folder.join("index.json");
    let content = fs::read(&file)?;
    let top: Value = serde_json::from_slice(&content)?;
    Ok(text(&top["manifests"][0], "digest"))
}

struct Layout<'a>(&'a Path);

impl Layout<'_> {
    fn blobs(&self) -> PathBuf {
        self.0.join("blobs/sha256")
    }

    /// The descriptor of one architecture's manifest, and its compressed size.
    fn image(&self, arch: Arch, root: &Path) -> Result<(Value, u64)> {
        let (layer, uncompressed) = self.layer(root)?;
        let config = json!({
            "architecture": arch.name(),
            "os": "linux",
            "config": {
                "Entrypoint": ["/usr/bin/zonemeter"],
                "Env": ["PATH=/usr/bin"],
                "Labels": {
                    "org.opencontainers.image.title": "zonemeter",
                    "org.opencontainers.image.version": env!("CARGO_PKG_VERSION"),
                    "org.opencontainers.image.revision": root::revision(),
                    "org.opencontainers.image.licenses": env!("CARGO_PKG_LICENSE"),
                },
            },
            "rootfs": {"type": "layers", "diff_ids": [uncompressed]},
            "history": [{"created_by": "cargo xtask image"}],
        });
        let bytes = layer["size"].as_u64().unwrap_or_default();
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": self.blob(CONFIG, &config)?,
            "layers": [layer],
        });
        Ok((self.blob(MANIFEST, &manifest)?, bytes))
    }

    /// The descriptor of a layer with everything below `root`, and the digest before compression.
    fn layer(&self, root: &Path) -> Result<(Value, String)> {
        let archive = self.0.join("layer.tar");
        tar(root, &root::FOLDERS, &archive)?;
        let uncompressed = sha256(&archive)?;
        Ok((self.keep(LAYER, &gzip(&archive)?)?, uncompressed))
    }

    fn blob(&self, kind: &str, content: &Value) -> Result<Value> {
        let file = self.0.join("blob.json");
        fs::write(&file, content.to_string())?;
        self.keep(kind, &file)
    }

    /// Moves a file to where its digest says, and describes it.
    fn keep(&self, kind: &str, file: &Path) -> Result<Value> {
        let digest = sha256(file)?;
        let size = file.metadata()?.len();
        let name = digest.trim_start_matches("sha256:");
        fs::rename(file, self.blobs().join(name))?;
        Ok(json!({"mediaType": kind, "digest": digest, "size": size}))
    }
}

/// Packs `names` of `folder` into `archive`: the same names and contents, the same bytes.
///
/// # Errors
/// tar fails.
pub(crate) fn tar(folder: &Path, names: &[&str], archive: &Path) -> Result<()> {
    let pack = Cmd::new("tar")
        .args(["--create", "--format=ustar", "--sort=name", "--mtime=@0"])
        .words("--owner=0 --group=0 --numeric-owner --mode=u=rwX,go=rX")
        .arg("--file")
        .arg(archive)
        .arg("--directory")
        .arg(folder)
        .args(names);
    exec::run(pack)
}

/// Compresses a file in place, and returns its new name.
///
/// # Errors
/// gzip fails.
pub(crate) fn gzip(file: &Path) -> Result<PathBuf> {
    exec::run(Cmd::new("gzip").args(["--best", "--no-name"]).arg(file))?;
    let mut packed = file.as_os_str().to_owned();
    packed.push(".gz");
    Ok(packed.into())
}

fn sha256(file: &Path) -> Result<String> {
    let printed = exec::output(Cmd::new("sha256sum").arg("--binary").arg(file))?;
    let digest = printed.split_whitespace().next();
    Ok(format!("sha256:{}", digest.context("sha256sum's output")?))
}

fn text(value: &Value, key: &str) -> String {
    value[key].as_str().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use std::{fs::Permissions, os::unix::fs::PermissionsExt, time::SystemTime};

    use super::*;

    /// A root file system with this executable, made at this time with this mode.
    fn root(folder: &Path, executable: &str, seconds: u64, mode: u32) -> PathBuf {
        let root = folder.join(format!("root-{seconds}"));
        for name in ["usr/bin/zonemeter", "etc/ssl/certs/ca-certificates.crt"] {
            let file = root.join(name);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(&file, executable).unwrap();
            fs::set_permissions(&file, Permissions::from_mode(mode)).unwrap();
            let time = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(seconds);
            fs::File::options()
                .append(true)
                .open(&file)
                .unwrap()
                .set_modified(time)
                .unwrap();
        }
        root
    }

    #[test]
    fn the_digest_follows_from_the_contents_alone() {
        let folder = tempfile::tempdir().unwrap();
        let digest = |name: &str, root: PathBuf| {
            let layout = folder.path().join(name);
            let written = write(&layout, &[(Arch::Arm64, root)]).unwrap();
            assert_eq!(written.digest, super::digest(&layout).unwrap());
            written.digest
        };
        let first = digest("a", root(folder.path(), "x", 1_000_000_000, 0o755));
        let later = digest("b", root(folder.path(), "x", 1_700_000_000, 0o700));
        let other = digest("c", root(folder.path(), "y", 1_700_000_001, 0o755));
        assert_eq!(first, later);
        assert_ne!(first, other);
    }

    /// By the rules of the image-spec.
    #[test]
    fn every_reference_leads_to_a_blob_with_that_digest_and_size() {
        let folder = tempfile::tempdir().unwrap();
        let layout = folder.path().join("oci");
        let root = root(folder.path(), "x", 1, 0o755);
        write(&layout, &[(Arch::Amd64, root.clone()), (Arch::Arm64, root)]).unwrap();
        let top = fs::read(layout.join("index.json")).unwrap();
        let top: Value = serde_json::from_slice(&top).unwrap();
        let follow = |descriptor: &Value| {
            let (kind, hex) = descriptor["digest"]
                .as_str()
                .unwrap()
                .split_once(':')
                .unwrap();
            let file = layout.join("blobs").join(kind).join(hex);
            assert_eq!(file.metadata().unwrap().len(), descriptor["size"]);
            let sum = exec::output(Cmd::new("sha256sum").arg(&file)).unwrap();
            assert!(sum.starts_with(hex), "{sum}");
            file
        };
        let json =
            |file: PathBuf| -> Value { serde_json::from_slice(&fs::read(file).unwrap()).unwrap() };
        let index = json(follow(&top["manifests"][0]));
        let manifests = index["manifests"].as_array().unwrap();
        for (descriptor, arch) in manifests.iter().zip(["amd64", "arm64"]) {
            assert_eq!(descriptor["platform"]["architecture"], arch);
            let manifest = json(follow(descriptor));
            assert_eq!(json(follow(&manifest["config"]))["architecture"], arch);
            let listed = exec::output(
                Cmd::new("tar")
                    .args(["--list", "--file"])
                    .arg(follow(&manifest["layers"][0])),
            );
            let files = listed.unwrap();
            let files: Vec<_> = files.lines().filter(|name| !name.ends_with('/')).collect();
            assert_eq!(
                files,
                ["etc/ssl/certs/ca-certificates.crt", "usr/bin/zonemeter"]
            );
        }
        assert_eq!(manifests.len(), 2);
    }
}

//! Whether the CNI chains the bandwidth plugin: it adds an `ingress` qdisc to the veth of each pod
//! with a limit, and fails, and the pod with it, where clsact is there first
//! (containernetworking/plugins#894).

use std::{fs, path::Path, sync::mpsc, thread, time::Duration};

use anyhow::{Context as _, Result, anyhow};
use serde_json::Value;
use zonemeter_io::files;
use zonemeter_model::syntax;

/// How long the folder may take to be read. Nothing runs yet, so nothing else would notice.
const READ_WITHIN: Duration = Duration::from_secs(5);
/// A configuration has some kB.
const FILE_BYTES: u64 = 1 << 20;

/// What the node's CNI configuration says of it, read once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Chain {
    /// No bandwidth plugin.
    Without,
    /// The file that has it.
    Bandwidth(String),
    /// Why the configuration could not be read.
    Unknown(String),
}

impl Chain {
    /// Reads the configurations of `folder`.
    pub fn read(folder: &Path) -> Self {
        let (sender, found) = mpsc::channel();
        let folder_of_thread = folder.to_owned();
        // Nobody waits for it any more when it is late.
        thread::spawn(move || sender.send(chained(&folder_of_thread)));
        match found.recv_timeout(READ_WITHIN) {
            Ok(Ok(None)) => Self::Without,
            Ok(Ok(Some(file))) => Self::Bandwidth(file),
            Ok(Err(error)) => Self::Unknown(format!("{error:#}")),
            Err(_) => Self::Unknown(format!(
                "{}: not read within {READ_WITHIN:?}",
                folder.display()
            )),
        }
    }

    /// False where a pod may fail to start for it.
    pub fn may_add_clsact(&self) -> bool {
        !matches!(self, Self::Bandwidth(_))
    }

    /// Says what follows, in one line.
    pub fn log(&self) {
        match self {
            Self::Without => {}
            Self::Bandwidth(file) => {
                tracing::info!("{file} chains the bandwidth plugin: clsact is added nowhere");
            }
            Self::Unknown(error) => {
                tracing::info!("a bandwidth plugin in the CNI's chain is not noticed: {error}");
            }
        }
    }
}

/// The name of the first file whose chain has the plugin, in the order of names, which is the
/// order in which the runtime takes them.
fn chained(folder: &Path) -> Result<Option<String>> {
    let entries = fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    let mut files = entries
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<Vec<_>>>()?;
    files.retain(|file| {
        file.extension()
            .is_some_and(|kind| kind == "conflist" || kind == "conf")
    });
    files.sort();
    for file in files {
        let text = files::read(&file, FILE_BYTES).with_context(|| file.display().to_string())?;
        let list: Value = serde_json::from_str(&text)
            .map_err(|error| anyhow!("{}: {}", file.display(), syntax::json(&error)))?;
        if has_bandwidth(&list) {
            return Ok(Some(file.display().to_string()));
        }
    }
    Ok(None)
}

fn has_bandwidth(list: &Value) -> bool {
    let of_type = |plugin: &Value| plugin["type"] == "bandwidth";
    of_type(list)
        || list["plugins"]
            .as_array()
            .is_some_and(|all| all.iter().any(of_type))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(plugins: &str) -> Chain {
        let folder = tempfile::tempdir().unwrap();
        let text = format!(r#"{{"name":"aws-cni","plugins":[{plugins}]}}"#);
        fs::write(folder.path().join("10-aws.conflist"), text).unwrap();
        fs::write(folder.path().join("README"), "no JSON").unwrap();
        Chain::read(folder.path())
    }

    #[test]
    fn the_plugin_bars_clsact() {
        let with = read(r#"{"type":"aws-cni"},{"type":"bandwidth"}"#);
        assert!(matches!(&with, Chain::Bandwidth(file) if file.ends_with("10-aws.conflist")));
        assert!(!with.may_add_clsact());
        let without = read(r#"{"type":"aws-cni"},{"type":"portmap"}"#);
        assert_eq!(without, Chain::Without);
    }

    #[test]
    fn a_pipe_in_the_folder_holds_up_nobody() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("10-aws.conflist");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status();
        assert!(made.unwrap().success());
        let read = Chain::read(folder.path());
        assert!(matches!(&read, Chain::Unknown(why) if why.contains("a named pipe")));
    }

    #[test]
    fn what_cannot_be_read_is_said() {
        let unknown = Chain::read(Path::new("/nowhere"));
        assert!(matches!(&unknown, Chain::Unknown(why) if why.starts_with("/nowhere")));
        assert!(unknown.may_add_clsact());
    }
}

//! Removing a lab by its name alone, whoever raised it.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

use crate::{
    names::LabName,
    namespace::{self, Namespace},
    prometheus, tool,
};

/// Where agents of labs pin their kernel objects.
const PINS: &str = "/sys/fs/bpf/zonemeter-lab";

/// Removes everything that a lab called `name` left: processes, interfaces, namespaces, pins and
/// files. Does nothing when there is nothing.
pub fn remove(name: &str) -> Result<()> {
    sweep(&LabName::new(name)?)
}

/// The directory of the lab's files.
pub(crate) fn directory(name: &LabName) -> PathBuf {
    std::env::temp_dir()
        .join("zonemeter-lab")
        .join(name.to_string())
}

/// The directory below which the lab's agents pin.
pub(crate) fn pin_directory(name: &LabName) -> PathBuf {
    Path::new(PINS).join(name.to_string())
}

pub(crate) fn sweep(name: &LabName) -> Result<()> {
    let namespaces = namespace::named(&name.namespace_prefix())?;
    end_processes(&namespaces)?;
    prometheus::end_left(&directory(name))?;
    let mut lines = management_links(name)?;
    for link in &mut lines {
        link.insert_str(0, "link del ");
    }
    lines.extend(namespaces.iter().map(|name| format!("netns del {name}")));
    if !lines.is_empty() {
        tool::feed(
            Command::new("ip").args(["-force", "-batch", "-"]),
            &tool::lines(&lines),
        )?;
    }
    remove_tree(&pin_directory(name))?;
    remove_tree(&directory(name))
}

/// Kills what runs in the namespaces: they belong to the lab, and so does all that lives there.
fn end_processes(namespaces: &[String]) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(10);
    for name in namespaces {
        // A half-made namespace cannot be opened, and nothing lives in it.
        let Ok(namespace) = Namespace::open(name) else {
            continue;
        };
        loop {
            let left = foreign_processes(&namespace)?;
            if left.is_empty() {
                break;
            }
            if Instant::now() > deadline {
                bail!("processes {left:?} do not leave namespace {name}");
            }
            for pid in left {
                // SAFETY: kill takes no pointers.
                unsafe { libc::kill(pid, libc::SIGKILL) };
            }
            thread::sleep(Duration::from_millis(10));
        }
    }
    Ok(())
}

/// Everything but this process, some threads of which may still be inside, and zombies, which
/// hold no namespace.
fn foreign_processes(namespace: &Namespace) -> Result<Vec<i32>> {
    let own = std::process::id() as i32;
    Ok(namespace
        .processes()?
        .into_iter()
        .filter(|pid| *pid != own)
        .collect())
}

fn management_links(name: &LabName) -> Result<Vec<String>> {
    let prefix = name.management_prefix();
    let mut links = Vec::new();
    for entry in fs::read_dir("/sys/class/net").context("list /sys/class/net")? {
        let link = entry?.file_name().to_string_lossy().into_owned();
        if link.starts_with(&prefix) {
            links.push(link);
        }
    }
    links.sort();
    Ok(links)
}

/// Removes `path`, and the directory of all labs when this was the last one.
fn remove_tree(path: &Path) -> Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(error).with_context(|| format!("remove {}", path.display()));
        }
        Ok(()) | Err(_) => {}
    }
    if let Some(parent) = path.parent() {
        // Fails while another lab stands, as it should.
        let _ = fs::remove_dir(parent);
    }
    Ok(())
}

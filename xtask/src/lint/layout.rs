//! What stands at the top of the repository, and how long a file may be.

use super::violation::Violation;

const FOLDERS: [&str; 7] = [
    "agent",
    "agent-common",
    "agent-ebpf",
    "deploy",
    "docs",
    "tests",
    "xtask",
];
const FILES: [&str; 8] = [
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "README.md",
    "SECURITY.md",
];

/// A reader holds a file of this length in the head, its tests included.
const LONGEST: usize = 400;
/// Files that only start things, and their limit.
const STARTERS: [(&str, usize); 2] = [("agent/src/main.rs", 39), ("xtask/src/main.rs", 80)];

/// Everything at the top belongs to the prescribed layout or is a dot file.
pub(super) fn check_top_level(files: &[String]) -> Vec<Violation> {
    let strange = |file: &&String| match file.split_once('/') {
        Some((folder, _)) => !folder.starts_with('.') && !FOLDERS.contains(&folder),
        None => !file.starts_with('.') && !FILES.contains(&file.as_str()),
    };
    files
        .iter()
        .filter(strange)
        .map(|file| {
            let remedy = format!(
                "is not part of the layout; the top holds {}, {} and dot files",
                FOLDERS.join("/, ") + "/",
                FILES.join(", ")
            );
            Violation::new(file, 1, "layout", remedy)
        })
        .collect()
}

/// A file that outgrew its limit.
pub(super) fn check_length(file: &str, content: &str) -> Option<Violation> {
    let starter = STARTERS.iter().find(|(name, _)| *name == file);
    let limit = starter.map_or(LONGEST, |(_, limit)| *limit);
    let lines = content.lines().count();
    if lines <= limit {
        return None;
    }
    let remedy = format!(
        "has {lines} lines, at most {limit}: give a part of it a file and a name of its own"
    );
    Some(Violation::new(file, limit + 1, "length", remedy))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_prescribed_stands_at_the_top() {
        let files = [
            "Cargo.toml",
            ".ci/run",
            ".gitignore",
            "docs/a.md",
            "build.sh",
            "scripts/x",
        ];
        let found = check_top_level(&files.map(str::to_owned));
        let names: Vec<_> = found
            .iter()
            .map(|violation| violation.file.as_str())
            .collect();
        assert_eq!(names, ["build.sh", "scripts/x"]);
    }

    #[test]
    fn the_limit_itself_is_allowed() {
        assert_eq!(check_length("a.rs", &"x\n".repeat(400)), None);
        let found = check_length("a.rs", &"x\n".repeat(401)).unwrap();
        assert_eq!(found.line, 401);
        assert!(check_length("agent/src/main.rs", &"x\n".repeat(40)).is_some());
        assert_eq!(check_length("agent/src/main.rs", &"x\n".repeat(39)), None);
    }
}

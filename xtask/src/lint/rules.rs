//! Rules for files, each broken one as a line that an editor can jump to: where, which rule, what
//! to do.

/// What may stand at the top of the repository, beside dot files.
const TOP: &str = "agent agent-common agent-ebpf deploy docs tests xtask CHANGELOG.md \
                   CONTRIBUTING.md Cargo.lock Cargo.toml LICENSE-APACHE LICENSE-MIT README.md \
                   SECURITY.md";
/// A reader holds a file of this length in the head, its tests included.
const LONGEST: usize = 400;
/// Files that only start things, and their limit.
const STARTERS: [(&str, usize); 2] = [("agent/src/main.rs", 39), ("xtask/src/main.rs", 80)];
/// Folders that exist on one machine. In two halves, so that this file does not break its rule.
const FOLDERS: [&str; 4] = [
    concat!("/wo", "rk/"),
    concat!("/ro", "ot/"),
    concat!("/ho", "me/"),
    concat!("/Us", "ers/"),
];
/// Hosts of package registries, which every client finds by itself.
const HOSTS: [&str; 10] = [
    concat!("static.crates", ".io"),
    concat!("index.crates", ".io"),
    concat!("static.rust-lang", ".org"),
    concat!("proxy.golang", ".org"),
    concat!("registry.npmjs", ".org"),
    concat!("files.pythonhosted", ".org"),
    concat!("repo.maven.apache", ".org"),
    concat!("repo1.maven", ".org"),
    concat!("deb.debian", ".org"),
    concat!("security.debian", ".org"),
];

/// Everything at the top belongs to the prescribed layout or is a dot file.
pub(super) fn top_level(file: &str) -> Option<String> {
    let top = file.split('/').next().unwrap_or_default();
    let belongs = top.starts_with('.') || TOP.split(' ').any(|name| name == top);
    (!belongs).then(|| format!("{file}:1: layout: at the top stand {TOP} and dot files"))
}

/// Checks one file of any kind.
pub(super) fn check(file: &str, content: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (index, line) in content.lines().enumerate() {
        let place = format!("{file}:{}", index + 1);
        if let Some(folder) = FOLDERS.iter().find(|folder| has_path(line, folder)) {
            found.push(format!(
                "{place}: machine path: `{folder}` is of one machine; name the path relative to the \
                 repository or take it as an argument"
            ));
        }
        if let Some(host) = HOSTS.iter().find(|host| line.contains(**host)) {
            found.push(format!(
                "{place}: registry host: `{host}`; name the package, its client knows where"
            ));
        }
    }
    let starter = STARTERS.iter().find(|(name, _)| *name == file);
    let limit = starter.map_or(LONGEST, |(_, limit)| *limit);
    let lines = content.lines().count();
    if file.ends_with(".rs") && lines > limit {
        found.push(format!(
            "{file}:{}: length: {lines} lines, at most {limit}: give a part of it a file and a name \
             of its own",
            limit + 1
        ));
    }
    if file.ends_with("/Cargo.toml") && !content.contains("[lints]\nworkspace = true\n") {
        found.push(format!(
            "{file}:1: manifest: say `[lints]` with `workspace = true`"
        ));
    }
    found
}

/// `folder` at the beginning of an absolute path, not in the middle of a longer one.
fn has_path(line: &str, folder: &str) -> bool {
    line.match_indices(folder).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        !before.is_some_and(|c| c.is_alphanumeric() || "._-/}*".contains(c))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_prescribed_stands_at_the_top() {
        for fine in ["Cargo.toml", ".ci/run", ".gitignore", "docs/a.md"] {
            assert_eq!(top_level(fine), None);
        }
        for strange in ["build.sh", "scripts/x"] {
            assert!(top_level(strange).unwrap().starts_with(strange));
        }
    }

    #[test]
    fn the_longest_length_itself_is_allowed() {
        let of = |file: &str, lines: usize| check(file, &"x\n".repeat(lines));
        assert!(of("a.rs", 400).is_empty());
        assert!(of("a.rs", 401)[0].starts_with("a.rs:401: length: "));
        assert!(of("agent/src/main.rs", 39).is_empty());
        assert_eq!(of("agent/src/main.rs", 40).len(), 1);
    }

    #[test]
    fn paths_of_a_machine_are_told() {
        let home = concat!("fine\ncd /ho", "me/ann/x\n");
        assert!(check("a.md", home)[0].starts_with("a.md:2: machine path: "));
        assert!(check("a.md", "src/home/x, /var/lib/zonemeter, $HOME/x").is_empty());
        assert!(check("a.md", concat!("a/ro", "ot/b")).is_empty());
    }

    #[test]
    fn registry_hosts_are_told() {
        let found = check("a.sh", concat!("curl https://proxy.golang", ".org/x"));
        assert!(found[0].starts_with("a.sh:1: registry host: "));
    }

    #[test]
    fn lints_come_from_the_workspace() {
        assert_eq!(check("a/Cargo.toml", "[package]\n").len(), 1);
        assert!(check("a/Cargo.toml", "[lints]\nworkspace = true\n").is_empty());
    }
}

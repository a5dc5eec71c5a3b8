//! Words that no tracked file may contain: folders of one machine, and the addresses of package
//! registries, which every client finds by itself.

use super::violation::Violation;

/// Folders that exist on one machine. In two halves, so that this file does not break its rule.
const FOLDERS: [[&str; 2]; 4] = [
    ["/wo", "rk/"],
    ["/ro", "ot/"],
    ["/ho", "me/"],
    ["/Us", "ers/"],
];

/// Hosts of registries, in two halves as well.
const HOSTS: [[&str; 2]; 10] = [
    ["static.crates", ".io"],
    ["index.crates", ".io"],
    ["static.rust-lang", ".org"],
    ["proxy.golang", ".org"],
    ["registry.npmjs", ".org"],
    ["files.pythonhosted", ".org"],
    ["repo.maven.apache", ".org"],
    ["repo1.maven", ".org"],
    ["deb.debian", ".org"],
    ["security.debian", ".org"],
];

/// Checks one file of any kind.
pub(super) fn check(file: &str, content: &str) -> Vec<Violation> {
    let lines = content.lines().enumerate();
    lines
        .filter_map(|(index, line)| check_line(file, index + 1, line))
        .collect()
}

fn check_line(file: &str, number: usize, line: &str) -> Option<Violation> {
    if let Some(folder) = FOLDERS
        .map(|halves| halves.concat())
        .iter()
        .find(|f| has_path(line, f))
    {
        let remedy = format!(
            "`{folder}` is of one machine; name the path relative to the repository or take it as an argument"
        );
        return Some(Violation::new(file, number, "machine path", remedy));
    }
    let host = HOSTS
        .map(|halves| halves.concat())
        .into_iter()
        .find(|host| line.contains(host))?;
    let remedy =
        format!("names the registry host `{host}`; name the package, its client knows where");
    Some(Violation::new(file, number, "registry host", remedy))
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
    fn paths_of_a_machine_are_told() {
        let home = ["cd /ho", "me/ann/x"].concat();
        assert_eq!(check("a.md", &format!("fine\n{home}\n"))[0].line, 2);
        assert!(check("a.md", "src/home/x, /var/lib/zonemeter, $HOME/x").is_empty());
        let inside = ["a/ro", "ot/b"].concat();
        assert!(check("a.md", &inside).is_empty());
    }

    #[test]
    fn registry_hosts_are_told() {
        let host = ["curl https://proxy.golang", ".org/x"].concat();
        assert_eq!(check("a.sh", &host)[0].rule, "registry host");
    }
}

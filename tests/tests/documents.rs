//! The commands of the README and of the documents: every line of a block of shell is run against
//! a real API server, or its arguments are read by the program, or its program is one that only
//! the reader has.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, its helpers too"
)]

use std::{
    env, fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
};

use zonemeter_lab::{
    agent_binary,
    control_plane::ControlPlane,
    go_tools::{HELM, KUBERNETES},
};

/// Programs of the reader's machine and account, and assignments for them.
const READERS: [&str; 11] = [
    "aws",
    "crane",
    "skopeo",
    "curl",
    "sed",
    "pip",
    "for",
    "done",
    "LIST=https://pricing.us-east-1.amazonaws.com/offers/v1.0/aws",
    "REGION=eu-central-1",
    "VPC=vpc-0123456789abcdef0",
];
/// What must be there before, by how a command begins.
const BEFORE: [(&str, &str); 6] = [
    ("helm install ", UNINSTALL),
    ("helm upgrade ", INSTALL),
    ("helm uninstall ", INSTALL),
    (
        "kubectl delete -f deploy/kubernetes/zonemeter.yaml",
        "kubectl apply -f deploy/kubernetes/zonemeter.yaml",
    ),
    ("kubectl apply -f ", UNINSTALL),
    (
        "kubectl apply -n monitoring ",
        "kubectl create namespace monitoring",
    ),
];
const UNINSTALL: &str = "helm uninstall zonemeter --namespace kube-system --no-hooks --ignore-not-found; \
     kubectl delete -f deploy/kubernetes/zonemeter.yaml --ignore-not-found";
const INSTALL: &str = "kubectl delete -f deploy/kubernetes/zonemeter.yaml --ignore-not-found; \
     helm upgrade --install zonemeter deploy/helm/zonemeter --namespace kube-system";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// README and documents, each with its text.
fn documents() -> Vec<(String, String)> {
    let listed = Command::new("git")
        .args(["ls-files", "--", "*.md"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(listed.status.success(), "{listed:?}");
    let names = String::from_utf8(listed.stdout).unwrap();
    let read = |name: &str| {
        (
            name.to_owned(),
            fs::read_to_string(root().join(name)).unwrap(),
        )
    };
    names.lines().map(read).collect()
}

/// The commands of all blocks that are marked as `sh`: continued lines joined, without comments.
fn commands(text: &str) -> Vec<String> {
    let blocks = text
        .split("\n```sh\n")
        .skip(1)
        .filter_map(|rest| rest.split("\n```").next());
    let lines = blocks.flat_map(|block| {
        let joined = block.replace("\\\n", " ");
        joined.lines().map(str::to_owned).collect::<Vec<_>>()
    });
    let without_comment = |line: String| {
        let line = match line.find(" #") {
            Some(at) => &line[..at],
            None => &line,
        };
        line.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    let is_command = |line: &String| !line.is_empty() && !line.starts_with('#');
    lines.map(without_comment).filter(is_command).collect()
}

/// How a command is tried.
#[derive(Debug, PartialEq, Eq)]
enum Trial {
    /// As it stands, or nearly.
    Run(String),
    /// The program reads the arguments, which end with `--help`.
    Read(String),
    /// It is the reader's.
    Skip,
}

fn trial(command: &str) -> Option<Trial> {
    let read = |command: &str| Trial::Read(format!("{command} --help"));
    let variables = |word: &&str| word.starts_with("ZONEMETER_");
    let words: Vec<_> = command.split(' ').skip_while(variables).collect();
    let is_for_a_node = ["rollout status", "port-forward"]
        .iter()
        .any(|verb| command.contains(verb));
    Some(match words[..] {
        [first, ..] if READERS.contains(&first) => Trial::Skip,
        ["helm", "uninstall", ..] if !command.contains("--no-hooks") => {
            // The hook waits for a kubelet; the tests of the chart run it.
            Trial::Run(format!("{command} --no-hooks"))
        }
        ["kubectl", ..] if is_for_a_node => read(command),
        ["kubectl", ..] => match command.split_once(" -- ") {
            Some((_, inside)) => read(inside),
            None => Trial::Run(command.to_owned()),
        },
        ["helm", ..] => Trial::Run(command.to_owned()),
        ["zonemeter", ..] => read(command.split(" >").next()?),
        ["cargo", ..] => read(&words.join(" ").replace(" [--check]", "")),
        [".ci/run"] => Trial::Run("test -x .ci/run".to_owned()),
        _ => return None,
    })
}

/// A shell in the repository with the project's programs and a server.
struct Shell<'a> {
    plane: &'a ControlPlane,
    programs: PathBuf,
    kubeconfig: PathBuf,
}

impl<'a> Shell<'a> {
    fn new(plane: &'a ControlPlane) -> Self {
        let programs = plane.folder().join("programs");
        fs::create_dir(&programs).unwrap();
        for (name, file) in [
            ("helm", HELM.find().unwrap().join("helm")),
            ("kubectl", KUBERNETES.find().unwrap().join("kubectl")),
            ("zonemeter", agent_binary().unwrap()),
        ] {
            symlink(file, programs.join(name)).unwrap();
        }
        Self {
            plane,
            programs,
            kubeconfig: plane.admin_kubeconfig().unwrap(),
        }
    }

    /// Whether it went well, and what was said.
    fn run(&self, command: &str) -> (bool, String) {
        let mut path = self.programs.clone().into_os_string();
        path.push(":");
        path.push(env::var_os("PATH").unwrap());
        let mut shell = Command::new("sh");
        shell.args(["-ec", command]).current_dir(root());
        for name in ["HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME"] {
            shell.env(name, self.plane.folder().join("helm"));
        }
        let shell = shell.env("PATH", path).env("KUBECONFIG", &self.kubeconfig);
        let output = shell.env("REGION", "us-east-2").output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said).into_owned();
        (output.status.success(), said)
    }
}

#[test]
fn every_command_of_the_documents_is_accepted() {
    let plane = ControlPlane::start(&[]).unwrap();
    let shell = Shell::new(&plane);
    let mut failed = Vec::new();
    let mut tried = 0;
    for (name, text) in documents() {
        for command in commands(&text) {
            let what = match trial(&command) {
                Some(Trial::Run(what) | Trial::Read(what)) => what,
                Some(Trial::Skip) => continue,
                None => {
                    failed.push(format!("{name}: {command}: nobody's program"));
                    continue;
                }
            };
            let before = BEFORE.iter().filter(|(begin, _)| what.starts_with(begin));
            for (_, before) in before {
                // It may be there already.
                shell.run(before);
            }
            let (went_well, said) = shell.run(&what);
            tried += 1;
            if !went_well {
                failed.push(format!("{name}: {what}: {said}"));
            }
        }
    }
    assert!(failed.is_empty(), "{failed:#?}");
    assert!(tried > 30, "only {tried} commands were found");
}

#[test]
fn commands_are_found_and_told_apart() {
    let text =
        "\n```sh\na b \\\n    --c    # why\n\n# all\ncargo xtask demo\n```\n```text\nno\n```";
    assert_eq!(commands(text), ["a b --c", "cargo xtask demo"]);
    let read = |text: &str| Some(Trial::Read(text.to_owned()));
    assert_eq!(
        trial("kubectl exec d -- zonemeter top"),
        read("zonemeter top --help")
    );
    assert_eq!(
        trial("zonemeter networks --vpcs a.json > n.yaml"),
        read("zonemeter networks --vpcs a.json --help")
    );
    assert_eq!(trial("aws ec2"), Some(Trial::Skip));
    assert_eq!(trial("whoever"), None);
}

//! An agent as a user who owns nothing but the pin directory, with as few capabilities as it takes.

use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, chown},
    path::PathBuf,
};

use zonemeter_lab::{AgentPlan, Lab, agent_binary};

pub(crate) const CAPABILITIES: [&str; 3] = ["bpf", "net_admin", "perfmon"];
/// `nobody`
const USER: u32 = 65534;

/// What runs a program as that user with these capabilities and nothing else.
pub(crate) fn as_user(capabilities: &[&str]) -> Vec<String> {
    let add: String = capabilities.iter().map(|one| format!(",+{one}")).collect();
    let ids = ["reuid", "regid"].map(|id| format!("--{id}={USER}"));
    let sets = ["bounding-set", "inh-caps", "ambient-caps"];
    let sets = sets.map(|set| format!("--{set}=-all{add}"));
    let rest = ["--clear-groups", "--no-new-privs"].map(str::to_owned);
    let words = [&["setpriv".to_owned()], &ids[..], &sets, &rest];
    words.concat()
}

/// Lets the user pin.
pub(crate) fn give_pins(lab: &Lab) {
    let pins = lab.node("a1").unwrap().pin_directory().to_owned();
    fs::create_dir_all(&pins).unwrap();
    chown(&pins, Some(USER), Some(USER)).unwrap();
}

/// A copy that everybody may run, whoever owns the build's directory.
pub(crate) fn binary(lab: &Lab) -> PathBuf {
    let copy = lab.directory().join("zonemeter");
    fs::copy(agent_binary().unwrap(), &copy).unwrap();
    fs::set_permissions(&copy, fs::Permissions::from_mode(0o755)).unwrap();
    copy
}

/// The agent of node `a1`, started by `wrapper`.
pub(crate) fn plan(lab: &Lab, wrapper: &[String]) -> AgentPlan {
    let words: Vec<&str> = wrapper.iter().map(String::as_str).collect();
    let plan = lab.agent("a1").unwrap().without("--state-dir");
    plan.binary(&binary(lab)).wrapped(&words)
}

//! The interfaces that would be counted on, and who else is on their hooks.

use std::collections::BTreeMap;

use anyhow::Result;
use zonemeter_attach::{
    links::{InterfaceNames, Link, Links},
    survey::{Hooks, Surveyor},
};
use zonemeter_datapath::object::Role;
use zonemeter_model::traffic::{AttachMode, Direction};

use super::report::Requirement;
use crate::attacher::matches_none;

/// Programs and filters of others, by what they are, with the number of interfaces.
type Neighbours = BTreeMap<String, usize>;

pub(super) async fn on_interfaces(
    names: InterfaceNames,
    mode: Option<AttachMode>,
) -> Vec<Requirement> {
    let needed = "host-side veths of pods in this network namespace";
    let asked_for = names.asked_for();
    let (links, uplinks): (Vec<_>, Vec<_>) = match list(names).await {
        Ok(links) => links.into_iter().partition(|link| link.role == Role::Pod),
        Err(error) => {
            let failed = Requirement::ok("interfaces", format!("{error:#}"), needed);
            return vec![failed.unless("run in the host's network namespace (hostNetwork: true)")];
        }
    };
    let found = Requirement::ok("interfaces", format!("{} match", links.len()), needed);
    let found = match (links.is_empty(), asked_for.is_empty()) {
        (false, _) => found,
        (true, false) => found.but(matches_none(&asked_for)),
        (true, true) => found.but(
            "fine on a node without pods; else run in the host's network namespace (hostNetwork: \
             true), or give --interface for another CNI than the AWS VPC CNI",
        ),
    };
    let mode = mode.unwrap_or(AttachMode::Tc);
    vec![found, others(&links, mode), by_uplinks(uplinks)]
}

/// By which interfaces the node's own packets leave.
fn by_uplinks(links: Vec<Link>) -> Requirement {
    let uplinks = links.iter().filter(|link| link.role == Role::Uplink);
    let names: Vec<&str> = uplinks.map(|link| &*link.name).collect();
    let needed = "the node's network cards, by which its own bytes pass";
    match names.is_empty() {
        false => Requirement::ok("uplinks", names.join(", "), needed),
        true => Requirement::ok("uplinks", "none", needed).but(
            "the node's own bytes are not counted: give --uplink with the names of its interfaces \
             (`ip route show default`)",
        ),
    }
}

async fn list(names: InterfaceNames) -> Result<Vec<Link>> {
    Links::subscribe(names)?.list()
}

fn others(links: &[Link], mode: AttachMode) -> Requirement {
    let needed = "nobody who decides over packets before they are counted";
    match survey(links, mode) {
        Ok(hooks) => judge(&hooks, mode, needed),
        Err(error) => Requirement::ok("others on the hooks", format!("{error:#}"), needed)
            .but("try again: an interface may have gone meanwhile"),
    }
}

fn survey(links: &[Link], mode: AttachMode) -> Result<Vec<Hooks>> {
    let mut surveyor = Surveyor::new(mode)?;
    let mut all = Vec::with_capacity(links.len());
    for link in links {
        all.push(surveyor.hooks(link.index, &link.name)?);
    }
    Ok(all)
}

fn judge(hooks: &[Hooks], mode: AttachMode, needed: &str) -> Requirement {
    let barred = hooks.iter().filter(|hooks| hooks.ingress_qdisc).count();
    let ahead = hooks
        .iter()
        .flat_map(|hooks| &hooks.neighbours)
        .any(|one| one.ahead);
    let unknown = hooks.iter().find_map(|hooks| hooks.unknown.as_deref());
    let found = Requirement::ok("others on the hooks", described(hooks), needed);
    if mode == AttachMode::Tc && barred > 0 {
        return found.but(format!(
            "{barred} interfaces have an ingress qdisc, beside which clsact cannot be: what goes \
             to their pods is not counted without TCX (Linux 6.6)"
        ));
    }
    if ahead {
        return found.but(
            "a TCX program, or a filter of a lower priority number, runs first and may hide \
             packets: give --attach auto where the kernel has TCX (Linux 6.6)",
        );
    }
    match unknown {
        Some(unknown) => found.but(format!("{unknown}: what is there is not all shown")),
        None => found,
    }
}

fn described(hooks: &[Hooks]) -> String {
    let mut neighbours = Neighbours::new();
    for one in hooks.iter().flat_map(|hooks| &hooks.neighbours) {
        let way = match one.direction {
            Direction::Transmit => "from the pod",
            Direction::Receive => "to the pod",
        };
        *neighbours
            .entry(format!("{} ({way})", one.what))
            .or_default() += 1;
    }
    let shown = neighbours.iter().map(|(what, count)| match count {
        1 => what.clone(),
        _ => format!("{count} x {what}"),
    });
    let shown: Vec<String> = shown.collect();
    match shown.is_empty() {
        true => "nobody".to_owned(),
        false => shown.join("; "),
    }
}

#[cfg(test)]
mod tests {
    use zonemeter_attach::survey::Neighbour;

    use super::*;
    use crate::commands::check::report::Status;

    fn hooks(what: &str, ahead: bool) -> Hooks {
        let neighbour = Neighbour {
            direction: Direction::Transmit,
            what: what.to_owned(),
            ahead,
        };
        Hooks {
            neighbours: vec![neighbour],
            ..Hooks::default()
        }
    }

    #[test]
    fn the_same_program_on_many_interfaces_is_one_word() {
        let all = [hooks("tc bpf policy", false), hooks("tc bpf policy", false)];
        let found = judge(&all, AttachMode::Tcx, "");
        assert_eq!(found.found, "2 x tc bpf policy (from the pod)");
        assert_eq!(found.status, Status::Ok);
        assert_eq!(judge(&[], AttachMode::Tc, "").found, "nobody");
    }

    #[test]
    fn what_may_hide_packets_is_a_warning() {
        assert_eq!(
            judge(&[hooks("tc u32", true)], AttachMode::Tc, "").status,
            Status::Warning
        );
        let barred = Hooks {
            ingress_qdisc: true,
            ..Hooks::default()
        };
        assert_eq!(
            judge(std::slice::from_ref(&barred), AttachMode::Tc, "").status,
            Status::Warning
        );
        assert_eq!(judge(&[barred], AttachMode::Tcx, "").status, Status::Ok);
    }
}

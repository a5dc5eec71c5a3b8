//! Which links are uplinks: the node's network cards, or those that `--uplink` names. On AWS these
//! are its network interfaces (ENIs), which the CNI adds and takes away.
//!
//! Never a pod's veth, and never a VLAN above an uplink (`vlan.eth.N` of a branch ENI): what passes
//! the VLAN passes the uplink below it, too, and is counted there.

use std::collections::BTreeSet;

use glob::Pattern;

use super::{Link, Role, veths::matches};

/// The uplinks that there are.
#[derive(Debug)]
pub(super) struct Uplinks {
    /// None: every network card.
    names: Vec<Pattern>,
    uplinks: BTreeSet<u32>,
}

impl Uplinks {
    pub(super) fn new(names: Vec<Pattern>) -> Self {
        Self {
            names,
            uplinks: BTreeSet::new(),
        }
    }

    /// The link with its role; `None` for one that is neither an uplink nor above one.
    pub(super) fn appeared(&mut self, link: Link) -> Option<Link> {
        let role = self.role(&link)?;
        if role == Role::Uplink {
            self.uplinks.insert(link.index);
        }
        Some(Link { role, ..link })
    }

    pub(super) fn gone(&mut self, index: u32) {
        self.uplinks.remove(&index);
    }

    /// Exactly these exist, beside those of pods.
    pub(super) fn listed(&mut self, mut links: Vec<Link>) -> Vec<Link> {
        self.uplinks.clear();
        // Whatever is above another one comes after it.
        links.sort_by_key(|link| (link.below.is_some(), link.index));
        links
            .into_iter()
            .filter_map(|link| self.appeared(link))
            .collect()
    }

    fn role(&self, link: &Link) -> Option<Role> {
        if link
            .below
            .is_some_and(|below| self.uplinks.contains(&below))
        {
            return Some(Role::AboveUplink);
        }
        let is_uplink = match self.names.is_empty() {
            true => link.is_physical,
            false => self.uplinks.contains(&link.index) || matches(&self.names, &link.name),
        };
        is_uplink.then_some(Role::Uplink)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn card(index: u32, name: &str) -> Link {
        Link {
            is_physical: true,
            ..Link::named(index, name)
        }
    }

    fn vlan(index: u32, name: &str, below: u32) -> Link {
        Link {
            below: Some(below),
            ..Link::named(index, name)
        }
    }

    fn roles(uplinks: &mut Uplinks, links: Vec<Link>) -> Vec<(u32, Role)> {
        let listed = uplinks.listed(links).into_iter();
        listed.map(|link| (link.index, link.role)).collect()
    }

    #[test]
    fn network_cards_are_uplinks_and_a_vlan_is_counted_below() {
        let mut uplinks = Uplinks::new(Vec::new());
        let links = vec![
            vlan(3, "vlan.eth.1", 5),
            Link::named(4, "dummy0"),
            card(5, "eth1"),
            card(2, "eth0"),
            vlan(9, "vlan.eth.2", 4),
        ];
        let expected = [(2, Role::Uplink), (5, Role::Uplink), (3, Role::AboveUplink)];
        assert_eq!(roles(&mut uplinks, links), expected);
        assert_eq!(
            uplinks.appeared(card(7, "eth2")).unwrap().role,
            Role::Uplink
        );
        let above = uplinks.appeared(vlan(8, "vlan.eth.3", 7)).unwrap();
        assert_eq!(above.role, Role::AboveUplink);
        uplinks.gone(7);
        assert_eq!(uplinks.appeared(vlan(8, "vlan.eth.3", 7)), None);
    }

    #[test]
    fn given_names_are_all_that_counts() {
        let mut uplinks = Uplinks::new(vec![Pattern::new("up*").unwrap()]);
        let links = vec![
            card(2, "eth0"),
            Link::named(3, "up0"),
            vlan(4, "up0.7", 3),
            vlan(5, "up9", 2),
        ];
        let expected = [(3, Role::Uplink), (4, Role::AboveUplink), (5, Role::Uplink)];
        assert_eq!(roles(&mut uplinks, links), expected);
    }
}

//! Why an address or a name gets its scope: for the debug page and `zonemeter explain`.

mod evidence;
mod meant;
mod rule;

use std::{net::IpAddr, time::Instant};

use zonemeter_model::recent::Explanation;

pub use self::meant::answer;
use self::{evidence::EvidenceSources, rule::rule};
use super::{
    resolve::Names,
    scope::{Class, party},
};

/// Explains an address as of now.
pub fn explain(names: &Names, address: IpAddr, now: Instant) -> Explanation {
    let address = address.to_canonical();
    let meant = names.meant(address, now, now);
    let peer = names.placed(names.peer(meant, now, now));
    let exit = names.usual_exit(address, peer);
    let class = Class::of(names, peer, exit);
    let sources = EvidenceSources {
        names,
        address: meant,
        now,
    };
    let mut evidence = sources.evidence(peer);
    evidence.extend(sources.way(exit, &class));
    evidence.sort_by_key(|one| !one.decides);
    if meant != address {
        evidence.push(sources.stands_for(address));
    }
    Explanation {
        address,
        scope: class.scope,
        via: class.via,
        rule: rule(names, meant, peer, class.scope),
        party: party(peer, &class),
        evidence,
    }
}

//! NAT gateways: namespaces beside the VPC's router that packets of some subnets pass on their way
//! out, as route tables say.

use std::{
    net::{IpAddr, Ipv4Addr},
    process::Command,
};

use anyhow::Result;

use super::{Lab, raise};
use crate::{
    address::{ROUTER_LINK_LOCAL, Zone},
    namespace::Namespace,
    tool,
    truth::{self, Truth, Watched},
    wiring::{forwarding_sysctls, mac, vpc::INTERNET_LINK},
};

/// Where NAT64 puts IPv4 addresses (RFC 6052).
const NAT64: &str = "64:ff9b::/96";
/// The router's table for what hosts behind NAT64 answer.
const BACK: usize = 110;
/// The link-local address of a NAT gateway.
const LINK_LOCAL: &str = "fe80::c";

/// A NAT gateway in a zone. It stands and falls with its lab.
#[derive(Debug)]
pub struct NatGateway {
    namespace: Namespace,
}

impl NatGateway {
    /// What it got from its clients and gave back to them, before and after translation: by pair of
    /// addresses, wire truth.
    pub fn truth(&self) -> Result<Truth> {
        truth::read(&self.namespace)
    }
}

impl Lab {
    /// Gives the internet a host at an address of 64:ff9b::/96. The kernel has no NAT64, so the NAT
    /// gateway passes on what comes for it as it is, both ways: its clients send and get the same.
    pub fn nat64_host(&self, address: IpAddr) -> Result<()> {
        self.internet
            .ip(&[format!("-6 addr add {address}/128 dev eth0 nodad")])
    }

    /// Adds a NAT gateway to a zone, and the routes to it for 64:ff9b::/96. Nothing else goes there
    /// before [`Lab::route_by`] says so. One to a zone.
    pub fn add_nat_gateway(&self, zone: Zone) -> Result<NatGateway> {
        let number = zone as usize;
        let link = format!("nat-{number}");
        let name = self.name.namespace(&link);
        raise::make_namespaces(std::slice::from_ref(&name))?;
        let namespace = Namespace::open(&name)?;
        let router = self.router.name();
        let cable = format!(
            "link add name eth0 mtu {mtu} netns {name} address {} type veth \
             peer name {link} mtu {mtu} netns {router} address {}\n",
            mac(0x34, number),
            mac(0x35, number),
            mtu = self.mtu,
        );
        tool::feed(Command::new("ip").args(["-batch", "-"]), &cable)?;
        raise::offloads_off(&namespace, "eth0")?;
        raise::offloads_off(&self.router, &link)?;
        namespace.sysctl(&forwarding_sysctls())?;
        let (address, next) = (zone.nat_gateway_v4(), zone.router_v4());
        namespace.ip(&[
            "link set lo up".to_owned(),
            "link set eth0 up".to_owned(),
            format!("addr add {address}/32 dev eth0"),
            format!("route add {next} dev eth0 scope link"),
            format!("route add default via {next} dev eth0"),
            format!("addr add {LINK_LOCAL}/64 dev eth0 nodad"),
            format!("-6 route add default via {ROUTER_LINK_LOCAL} dev eth0"),
        ])?;
        self.router.ip(&[
            format!("link set {link} up"),
            format!("addr add {next}/32 dev {link}"),
            format!("route add {address}/32 dev {link}"),
            format!(
                "route add default via {address} dev {link} onlink table {}",
                table(zone)
            ),
            format!("addr add {ROUTER_LINK_LOCAL}/64 dev {link} nodad"),
            format!("-6 route add {NAT64} via {LINK_LOCAL} dev {link}"),
            format!(
                "-6 route add {NAT64} dev {INTERNET_LINK} table {}",
                table(zone)
            ),
            format!(
                "-6 rule add iif {link} to {NAT64} lookup {} pref 20",
                table(zone)
            ),
            format!("-6 route add default via {LINK_LOCAL} dev {link} table {BACK}"),
            format!("-6 rule add iif {INTERNET_LINK} from {NAT64} lookup {BACK} pref 21"),
        ])?;
        let rules = rules(address, self.mtu);
        tool::feed(namespace.command("nft").args(["-f", "-"]), &rules)?;
        namespace.wait_for_links()?;
        self.router.wait_for_links()?;
        Ok(NatGateway { namespace })
    }

    /// A row of a subnet's route table: what comes from `subnet` for `destination` goes to the NAT
    /// gateway of the zone. Both are IPv4 ranges; of rows that fit the one with the lowest number
    /// holds.
    pub fn route_by(&self, zone: Zone, subnet: &str, destination: &str, row: usize) -> Result<()> {
        let lookup = table(zone);
        self.router.ip(&[format!(
            "rule add from {subnet} to {destination} lookup {lookup} pref {row}"
        )])
    }

    /// The same for what keeps the direct way: by an internet gateway or a gateway endpoint.
    pub fn route_directly(&self, subnet: &str, destination: &str, row: usize) -> Result<()> {
        self.router.ip(&[format!(
            "rule add from {subnet} to {destination} lookup main pref {row}"
        )])
    }
}

/// The router's table whose default route leads to the NAT gateway of a zone.
fn table(zone: Zone) -> usize {
    100 + zone as usize
}

/// Counts what passes, and translates what goes out.
fn rules(address: Ipv4Addr, mtu: u32) -> String {
    let truth = truth::script(&Watched {
        links: "\"eth0\"",
        mtu,
        delivered: true,
        flows: false,
    });
    format!(
        "{truth}table ip nat {{\nchain out {{\ntype nat hook postrouting priority 100\n\
         oifname \"eth0\" ip saddr != {address} snat to {address}\n}}\n}}\n"
    )
}

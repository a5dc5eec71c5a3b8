//! Every path, in the order in which `docs/services.md` shows them.

use std::net::{IpAddr, SocketAddr};

use zonemeter_lab::Zone;

use crate::{
    cluster::{Cluster, PORT, TARGET, outer, outside, service_address},
    party::{Named, Party},
    path::{Path, What},
};

const CLIENT: Party = Party::Pod("client");

/// What the cluster's family has.
pub(crate) fn all(cluster: &Cluster) -> Vec<Path> {
    let mut paths = direct(cluster);
    paths.extend(cluster_ip(cluster));
    paths.extend(by_node(cluster));
    paths.extend(from_outside(cluster));
    paths.extend(beyond(cluster));
    if cluster.family.has_v4() {
        paths.extend(link_local(cluster));
    }
    paths
}

pub(crate) fn path(title: &'static str, client: Party, asked: SocketAddr, server: Party) -> Path {
    let named = |party| match party {
        Party::Pod(name) => Named::Pod(name),
        Party::Node(name) | Party::NodeAt(name, _) => Named::Node(name),
        Party::Outside(_) => Named::Internet,
    };
    let is_node = |party| matches!(party, Party::Node(_) | Party::NodeAt(..));
    Path {
        title,
        client,
        asked,
        server,
        port: TARGET,
        what: match is_node(client) || is_node(server) {
            true => What::Udp,
            false => What::Both,
        },
        at_client: named(server),
        at_server: named(client),
    }
}

impl Path {
    pub(crate) fn names(self, at_client: Named, at_server: Named) -> Self {
        Self {
            at_client,
            at_server,
            ..self
        }
    }

    pub(crate) fn carries(self, what: What) -> Self {
        Self { what, ..self }
    }

    fn served_at(self, port: u16) -> Self {
        Self { port, ..self }
    }
}

fn pod_at(cluster: &Cluster, name: &'static str) -> (SocketAddr, Party) {
    let pod = Party::Pod(name);
    (SocketAddr::new(cluster.address(pod), TARGET), pod)
}

fn direct(cluster: &Cluster) -> Vec<Path> {
    let to = |title, name| {
        let (asked, pod) = pod_at(cluster, name);
        path(title, CLIENT, asked, pod)
    };
    let (near, pod) = pod_at(cluster, "near");
    vec![
        to("pod → pod on the same node", "near"),
        to("pod → pod on another node of the zone", "zone"),
        to("pod → pod in another zone", "far"),
        to("pod → pod of a headless Service in another zone", "far"),
        path("node → pod", Party::Node("a1"), near, pod),
        node(cluster, "pod → its own node", "a1"),
        node(cluster, "pod → another node", "b1"),
    ]
}

fn node(cluster: &Cluster, title: &'static str, name: &'static str) -> Path {
    let address = cluster.address(Party::Node(name));
    let server = Party::NodeAt(name, address);
    path(title, CLIENT, SocketAddr::new(address, TARGET), server)
}

fn cluster_ip(cluster: &Cluster) -> Vec<Path> {
    let at = |n| SocketAddr::new(service_address(cluster.family, n), PORT);
    let to = |title, n, name| path(title, CLIENT, at(n), Party::Pod(name));
    let host = |name| Party::NodeAt(name, cluster.address(Party::Node(name)));
    vec![
        to("pod → ClusterIP, backend on the same node", 21, "near"),
        to(
            "pod → ClusterIP, backend on another node of the zone",
            22,
            "zone",
        ),
        to("pod → ClusterIP, backend in another zone", 23, "far"),
        to("pod → ClusterIP, one-way UDP", 23, "far").carries(What::OneWay),
        to("pod → ClusterIP, fragments", 23, "far").carries(What::Fragments),
        to("pod → ClusterIP, ICMP errors of the backend", 23, "far").carries(What::Refused),
        path(
            "pod → ClusterIP of a DNS server in another zone",
            CLIENT,
            SocketAddr::new(service_address(cluster.family, 36), 53),
            Party::Pod("far"),
        )
        .served_at(53)
        .carries(What::Udp),
        to("pod → its own Service (hairpin)", 24, "client"),
        path(
            "pod → ClusterIP, backend of the node's own network",
            CLIENT,
            at(25),
            host("a1"),
        ),
        path(
            "pod → ClusterIP, backend of another node's network",
            CLIENT,
            at(26),
            host("b1"),
        ),
        path(
            "node → ClusterIP, backend on the same node",
            Party::Node("a1"),
            at(21),
            Party::Pod("near"),
        ),
        path(
            "node → ClusterIP, backend in another zone",
            Party::Node("a1"),
            at(23),
            Party::Pod("far"),
        ),
    ]
}

fn by_node(cluster: &Cluster) -> Vec<Path> {
    let port = |node, number| SocketAddr::new(cluster.address(Party::Node(node)), number);
    let [external, balancer] = outer(cluster.family).map(|address| SocketAddr::new(address, PORT));
    let (near, far) = (Party::Pod("near"), Party::Pod("far"));
    let a1 = Named::Node("a1");
    vec![
        path(
            "pod → NodePort of its own node, backend there",
            CLIENT,
            port("a1", 30_081),
            near,
        ),
        path(
            "pod → NodePort of its own node, backend in another zone",
            CLIENT,
            port("a1", 30_082),
            far,
        )
        .names(Named::Pod("far"), a1),
        path(
            "pod → NodePort of another node, backend on its own",
            CLIENT,
            port("a2", 30_081),
            near,
        )
        .names(Named::Node("a2"), Named::Node("a2")),
        path(
            "pod → NodePort of its own node, policy Local",
            CLIENT,
            port("a1", 30_083),
            near,
        ),
        path(
            "pod → external IP, backend in another zone",
            CLIENT,
            external,
            far,
        )
        .names(Named::Pod("far"), a1),
        path(
            "pod → load balancer's IP, backend on the same node",
            CLIENT,
            balancer,
            near,
        ),
    ]
}

fn from_outside(cluster: &Cluster) -> Vec<Path> {
    let port = |node, number| SocketAddr::new(cluster.address(Party::Node(node)), number);
    // A socket that binds no address takes the first host's.
    let client = Party::Outside(internet(cluster, 0));
    let (near, far) = (Party::Pod("near"), Party::Pod("far"));
    let from = |title, asked, server| path(title, client, asked, server);
    let relayed = |path: Path, node| path.names(Named::Internet, Named::Node(node));
    let (asked, _) = pod_at(cluster, "near");
    let balancer = Party::Outside(outside(cluster.family)[1]);
    vec![
        from(
            "internet → NodePort, policy Cluster, backend there",
            port("a1", 30_081),
            near,
        ),
        from(
            "internet → NodePort, policy Local",
            port("a1", 30_083),
            near,
        ),
        relayed(
            from(
                "internet → NodePort, relayed inside the zone",
                port("a2", 30_081),
                near,
            ),
            "a2",
        ),
        relayed(
            from(
                "internet → NodePort, relayed to another zone",
                port("a1", 30_082),
                far,
            ),
            "a1",
        ),
        path("load balancer → pod (IP mode)", balancer, asked, near)
            .carries(What::Udp)
            .names(Named::Internet, Named::Subnet(Zone::A)),
    ]
}

fn beyond(cluster: &Cluster) -> Vec<Path> {
    let at = |n, port| SocketAddr::new(service_address(cluster.family, n), port);
    let host = |n| Party::Outside(internet(cluster, n));
    let to = SocketAddr::new(internet(cluster, 4), TARGET);
    let control_plane = Party::Outside(outside(cluster.family)[0]);
    vec![
        path("pod → internet", CLIENT, to, host(4)),
        path(
            "pod → ClusterIP, backend out of the cluster",
            CLIENT,
            at(27, PORT),
            host(3),
        ),
        path(
            "pod → the API server's Service",
            CLIENT,
            at(1, 443),
            control_plane,
        )
        .served_at(443)
        .names(Named::Subnet(Zone::B), Named::Pod("client")),
    ]
}

fn link_local(cluster: &Cluster) -> Vec<Path> {
    let at = |address: IpAddr, port| SocketAddr::new(address, port);
    let metadata = outside(cluster.family)[2];
    let cache: IpAddr = IpAddr::from([169, 254, 20, 10]);
    let cluster_dns = service_address(cluster.family, 10);
    let here = |address| Party::NodeAt("a1", address);
    let nobody = Named::Pod("client");
    vec![
        path(
            "pod → instance metadata",
            CLIENT,
            at(metadata, TARGET),
            Party::Outside(metadata),
        )
        .names(Named::LinkLocal, nobody),
        path("pod → NodeLocal DNS", CLIENT, at(cache, 53), here(cache))
            .served_at(53)
            .names(Named::LinkLocal, nobody),
        path(
            "pod → the cluster's DNS, answered by NodeLocal DNS",
            CLIENT,
            at(cluster_dns, 53),
            here(cluster_dns),
        )
        .served_at(53),
    ]
}

fn internet(cluster: &Cluster, n: usize) -> IpAddr {
    match cluster.family.has_v4() {
        true => cluster.lab.internet_host(n),
        false => cluster.lab.internet_host_v6(n),
    }
}

use super::*;

fn end(workload: &str, zone: &str) -> PairEnd {
    PairEnd {
        namespace: "shop".to_owned(),
        workload: workload.to_owned(),
        kind: "Pod".to_owned(),
        zone: zone.to_owned(),
    }
}

fn traffic(bytes: u64) -> PairTraffic {
    PairTraffic {
        bytes,
        packets: bytes / 100,
        bytes_per_second: bytes as f64 / 10.0,
    }
}

fn row(local: &str, peer: &str, transmit: u64, receive: u64) -> Row {
    Row::from(Pair {
        local: end(local, "a"),
        peer: end(peer, "b"),
        scope: "cross_zone".to_owned(),
        transmit: traffic(transmit),
        receive: traffic(receive),
        total_bytes: 10 * (transmit + receive),
        dollars_per_month: Some((transmit + receive) as f64),
        trend: vec![transmit as f64],
        ..Pair::default()
    })
}

/// The same pair at its other end.
fn seen_by_peer(row: Row) -> Row {
    row.turned()
}

fn bytes(row: &Row) -> (u64, u64) {
    (row.pair.transmit.bytes, row.pair.receive.bytes)
}

#[test]
fn what_both_ends_saw_is_one_row_and_not_twice_the_bytes() {
    let rows = ends(
        [
            vec![row("client", "server", 100, 5000)],
            vec![seen_by_peer(row("client", "server", 110, 4900))],
        ],
        Dollars::OfPair,
    );
    let [one] = &rows[..] else {
        panic!("{rows:#?}")
    };
    assert_eq!(one.local(), "shop/client");
    assert_eq!(bytes(one), (110, 5000));
    assert_eq!(one.pair.total_bytes, 51_000);
    assert_eq!(one.pair.dollars_per_month, Some(5100.0));
}

/// Two nodes with clients, one with the server: each client's bytes are at one of the two.
#[test]
fn agents_of_the_same_side_add_up() {
    let rows = ends(
        [
            vec![row("client", "server", 100, 1000)],
            vec![row("client", "server", 200, 2000)],
            vec![seen_by_peer(row("client", "server", 300, 3000))],
        ],
        Dollars::OfPair,
    );
    let [one] = &rows[..] else {
        panic!("{rows:#?}")
    };
    assert_eq!(bytes(one), (300, 3000));
    assert_eq!(one.pair.trend, [300.0]);
}

#[test]
fn zones_and_scopes_keep_pairs_apart() {
    let mut near = row("client", "server", 1, 2);
    near.pair.peer.zone = "a".to_owned();
    near.pair.scope = "intra_zone".to_owned();
    let rows = ends(
        [vec![row("client", "server", 1, 2)], vec![near]],
        Dollars::OfPair,
    );
    assert_eq!(rows.len(), 2);
}

fn connection(port: u16, backend: &str, bytes: u64) -> Row {
    let mut row = row("client", backend, bytes, 10 * bytes);
    row.pair.services = vec!["shop/web".to_owned()];
    row.ports = [port, 8080];
    row.addresses = ["10.0.0.1".to_owned(), format!("10.0.0.{port}")];
    row.protocol = "tcp".to_owned();
    row
}

#[test]
fn connections_to_a_service_are_one_row() {
    let mut direct = connection(0, "server-1", 7);
    direct.pair.services.clear();
    let rows = services(vec![
        connection(40_001, "server-1", 1),
        direct,
        connection(40_002, "server-2", 2),
    ]);
    let shown: Vec<_> = rows
        .iter()
        .map(|row| (row.peer(), row.folded, bytes(row)))
        .collect();
    assert_eq!(
        shown,
        [
            ("shop/web".to_owned(), 2, (3, 30)),
            ("shop/server-1:8080".to_owned(), 1, (7, 70)),
        ]
    );
}

#[test]
fn a_pod_has_one_row_for_each_scope_and_the_number_of_its_peers() {
    let mut outside = row("client", "", 1, 1);
    outside.pair.scope = "internet".to_owned();
    let rows = locals(
        [
            connection(40_001, "server-1", 1),
            connection(40_002, "server-1", 2),
            connection(0, "server-2", 4),
            outside,
        ]
        .into_iter(),
    );
    let shown: Vec<_> = rows.iter().map(|row| (row.peer(), bytes(row))).collect();
    assert_eq!(
        shown,
        [
            ("2 peers".to_owned(), (7, 70)),
            ("1 peer".to_owned(), (1, 1))
        ]
    );
}

#[test]
fn trends_are_joined_at_their_newest_part() {
    assert_eq!(trend(&[1.0, 2.0, 3.0], &[10.0]), [1.0, 2.0, 13.0]);
    assert_eq!(trend(&[], &[1.0]), [1.0]);
    assert_eq!(known(None, Some(1.0)), Some(1.0));
}

/// A store's series cost what their own end pays.
#[test]
fn dollars_of_each_end_add_up() {
    let both = [
        row("client", "server", 100, 5000),
        seen_by_peer(row("client", "server", 100, 5000)),
    ];
    let rows = ends([both.to_vec()], Dollars::OfFirstEnd);
    assert_eq!(rows.len(), 1);
    assert_eq!(bytes(&rows[0]), (100, 5000));
    assert_eq!(rows[0].pair.dollars_per_month, Some(10_200.0));
}

/// What a node's own process and a pod elsewhere say to each other: the pod's agent sees the Node.
fn of_node(pod: &str, unit: &str) -> (Row, Row) {
    let mut at_pod = row(pod, "b1", 100, 1000);
    at_pod.pair.peer.kind = "Node".to_owned();
    at_pod.pair.peer.namespace.clear();
    let mut at_node = row(pod, unit, 100, 1000).turned();
    at_node.pair.host = true;
    at_node.pair.local.kind = "Unit".to_owned();
    (at_pod, at_node)
}

#[test]
fn a_node_that_was_asked_is_shown_by_whom_it_names() {
    let (at_pod, at_node) = of_node("client", "kubelet.service");
    let (silent, _) = of_node("other", "kubelet.service");
    let shown = |of_b: Vec<Row>| {
        let mut answers = [
            ("a1".to_owned(), vec![at_pod.clone(), silent.clone()]),
            ("b1".to_owned(), of_b),
        ];
        named_nodes(&mut answers);
        answers.map(|(_, rows)| rows.len())
    };
    assert_eq!(shown(vec![at_node.clone()]), [1, 1]);
    assert_eq!(shown(Vec::new()), [2, 0], "nobody names it");
    let mut of_pod = at_node;
    of_pod.pair.host = false;
    assert_eq!(shown(vec![of_pod]), [2, 1], "a pod there is not the node");
}

#[test]
fn a_conversation_with_a_node_has_the_name_that_its_agent_knows() {
    let (mut at_pod, mut at_node) = of_node("client", "kubelet.service");
    at_pod.addresses = ["10.0.0.1".to_owned(), "10.0.0.2".to_owned()];
    at_pod.ports = [0, 10_250];
    at_node.addresses = ["10.0.0.2".to_owned(), "10.0.0.1".to_owned()];
    at_node.ports = [10_250, 0];
    for answers in [
        [vec![at_pod.clone()], vec![at_node.clone()]],
        [vec![at_node], vec![at_pod]],
    ] {
        let rows = ends(answers, Dollars::OfPair);
        let [one] = &rows[..] else {
            panic!("{rows:#?}")
        };
        let mut names = [one.local(), one.peer()];
        names.sort();
        assert_eq!(names, ["shop/client", "shop/kubelet.service:10250"]);
        assert_eq!(one.pair.transmit.bytes + one.pair.receive.bytes, 1100);
    }
}

/// Ports 8080 and 9090 of one server: its agent saw both in a drain, the client's one of them.
#[test]
fn ends_that_saw_other_ports_are_one_conversation() {
    let at_client = connection(0, "server", 100);
    let mut at_server = connection(0, "server", 110).turned();
    (at_server.ports, at_server.other_ports) = ([9090, 0], true);
    // Known by its addresses alone.
    let mut at_node = at_server.clone();
    at_node.pair.local.kind = "Unit".to_owned();
    for there in [at_server, at_node] {
        for answers in [[&at_client, &there], [&there, &at_client]] {
            let rows = ends(answers.map(|row| vec![row.clone()]), Dollars::OfPair);
            let [one] = &rows[..] else {
                panic!("{rows:#?}")
            };
            let pair = &one.pair;
            assert_eq!(pair.transmit.bytes + pair.receive.bytes, 110 + 1100);
            assert!(one.seen_twice && one.other_ports);
        }
    }
    let mut elsewhere = connection(1, "other", 1);
    elsewhere.other_ports = true;
    let [one, other] = &ends([vec![elsewhere], vec![at_client]], Dollars::OfPair)[..] else {
        panic!("two servers are two conversations");
    };
    assert!(one.other_ports && !other.other_ports);
}

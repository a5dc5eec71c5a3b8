//! The backends of Services: whose address conntrack must name, by which method it was named, and
//! where a Service is whose backend nothing names: where all its ready endpoints are.

use zonemeter_model::{
    cluster::{Change, Endpoint, EndpointSlice, Kind, Object},
    snapshot::Scope,
    traffic::{BackendMethod, Flow, RealPeer, Translated},
};

use super::scenario::*;
use crate::Settings;

pub(super) const SERVICE: &str = "10.100.0.7";

/// Whether it is ready, its zone and its node; empty ones are not there.
pub(super) type Place = (bool, &'static str, &'static str);

fn scenario(place_services: bool) -> Scenario {
    let mut scenario = Scenario::new(Settings {
        place_services,
        ..settings()
    });
    scenario.apply(Object::Pod(pod("web", "node-1", "192.168.1.1")));
    scenario.apply(service("shop", "cart", SERVICE));
    scenario
}

/// The only slice of the Service, in place of an earlier one.
pub(super) fn slice(places: &[Place]) -> Object {
    let some = |text: &str| (!text.is_empty()).then(|| text.into());
    let endpoints = places.iter().map(|(ready, zone, node)| Endpoint {
        address: ip("192.168.9.9"),
        ready: *ready,
        zone: some(zone),
        node: some(node),
    });
    Object::EndpointSlice(EndpointSlice {
        name: named("shop", "cart-abc"),
        service: Some("cart".into()),
        endpoints: endpoints.collect(),
    })
}

#[test]
fn a_service_is_where_all_its_ready_endpoints_are() {
    let mut scenario = scenario(true);
    let nowhere = (Scope::UnresolvedService, "");
    assert_eq!(seen(&scenario, SERVICE).0, nowhere.0);
    let cases: [(&[Place], (Scope, &str)); 8] = [
        (&[(true, "b", "node-3")], (Scope::CrossZone, "b")),
        (&[(true, "a", "node-1")], (Scope::IntraNode, "a")),
        (&[(true, "a", "node-2")], (Scope::IntraZone, "a")),
        // The node tells the zone.
        (&[(true, "", "node-3")], (Scope::CrossZone, "b")),
        // One zone, on several nodes.
        (
            &[(true, "a", "node-1"), (true, "a", "node-2")],
            (Scope::IntraZone, "a"),
        ),
        (
            &[(true, "b", "node-3"), (false, "a", "node-2")],
            (Scope::CrossZone, "b"),
        ),
        (&[(true, "b", "node-3"), (true, "a", "node-2")], nowhere),
        (&[(false, "b", "node-3")], nowhere),
    ];
    for (places, (scope, zone)) in cases {
        scenario.apply(slice(places));
        let expected = (scope, zone.to_owned());
        assert_eq!(seen(&scenario, SERVICE), expected, "{places:?}");
    }
}

#[test]
fn a_slice_that_is_gone_or_another_services_says_nothing() {
    let mut scenario = scenario(true);
    let there = slice(&[(true, "b", "node-3")]);
    let Object::EndpointSlice(mut moved) = there.clone() else {
        panic!("it is a slice");
    };
    moved.service = Some("api".into());
    let deleted = [Change::Deleted(
        Kind::EndpointSlice,
        named("shop", "cart-abc"),
    )];
    let list = [Change::ListStarted, Change::ListDone].map(|of| of(Kind::EndpointSlice));
    let moved = [Change::Applied(Object::EndpointSlice(moved))];
    for (changes, slices) in [(&deleted[..], 0), (&list, 0), (&moved, 1)] {
        scenario.apply(there.clone());
        assert_eq!(seen(&scenario, SERVICE).0, Scope::CrossZone);
        assert_eq!(scenario.account.snapshot().cluster_objects[3], 1);
        changes
            .iter()
            .for_each(|change| scenario.change(change.clone()));
        assert_eq!(seen(&scenario, SERVICE).0, Scope::UnresolvedService);
        assert_eq!(scenario.account.snapshot().cluster_objects[3], slices);
    }
}

#[test]
fn without_the_flag_endpoints_say_nothing() {
    let mut scenario = scenario(false);
    scenario.apply(slice(&[(true, "b", "node-3")]));
    let expected = (Scope::UnresolvedService, String::new());
    assert_eq!(seen(&scenario, SERVICE), expected);
}

/// What was counted stays with the place of its time.
#[test]
fn endpoints_that_move_change_new_increments_only() {
    let mut scenario = scenario(true);
    scenario.attach(7, "veth");
    let mut sent_while_in = |place: Place, packets| {
        scenario.apply(slice(&[place]));
        let flow = sent(7, "192.168.1.1", SERVICE, packets);
        let snapshot = scenario.drain_after(5, &[flow]);
        let series = snapshot.pods.iter().filter(|one| one.count.packets > 0);
        let mut shown: Vec<_> = series
            .map(|one| (one.labels.scope, one.count.packets))
            .collect();
        shown.sort();
        shown
    };
    let first = sent_while_in((true, "b", "node-3"), 3);
    assert_eq!(first, [(Scope::CrossZone, 3)]);
    let both = sent_while_in((true, "a", "node-2"), 4);
    assert_eq!(both, [(Scope::IntraZone, 4), (Scope::CrossZone, 3)]);
}

/// What the kernel is told: the addresses of Services and the node's own, when one changes.
#[test]
fn addresses_that_are_translated_are_given_out_once() {
    let mut scenario = scenario(true);
    let translated = |services: &[&str]| Translated {
        node: [ip("192.168.0.1")].into(),
        services: services.iter().map(|address| ip(address)).collect(),
    };
    let first = scenario.account.changed_translated();
    assert_eq!(first, Some(translated(&[SERVICE])));
    assert_eq!(scenario.account.changed_translated(), None);
    scenario.apply(Object::Pod(pod("api", "node-1", "192.168.1.2")));
    assert_eq!(scenario.account.changed_translated(), None);
    scenario.apply(service("shop", "api", "10.100.0.8"));
    let both = translated(&[SERVICE, "10.100.0.8"]);
    assert_eq!(scenario.account.changed_translated(), Some(both));
}

#[test]
fn bytes_of_services_are_counted_by_the_method_that_named_the_backend() {
    let mut scenario = scenario(true);
    scenario.apply(Object::Pod(pod("cart", "node-3", "192.168.32.9")));
    scenario.attach(7, "veth");
    let to_service = |packets| sent(7, "192.168.1.1", SERVICE, packets);
    let named = |method, packets| Flow {
        real_peer: Some(RealPeer {
            address: ip("192.168.32.9"),
            port: 8080,
            method,
        }),
        ..to_service(packets)
    };
    let beside = sent(7, "192.168.1.1", "192.168.32.9", 100);
    let table = named(BackendMethod::Table, 4);
    scenario.drain_after(5, &[named(BackendMethod::Packet, 3), beside]);
    scenario.drain_after(5, &[table, to_service(5)]);
    scenario.apply(slice(&[(true, "b", "node-3")]));
    let snapshot = scenario.drain_after(5, &[to_service(6)]);
    // Packet, table, endpoints, none.
    let expected = [3, 4, 6, 5].map(of_packets);
    assert_eq!(snapshot.backends, expected);
    let next = scenario.restarted(settings(), true);
    assert_eq!(next.account.snapshot().backends, expected);
}

/// More flows than wait in detail for a pod: what waits added up has neither peer nor Service.
#[test]
fn bytes_that_wait_without_detail_are_no_services() {
    let mut scenario = scenario(false);
    scenario.attach(8, "veth");
    let to_backend = |number: u64| Flow {
        real_peer: Some(RealPeer {
            address: ip(&format!("9.0.{}.{}", number >> 8, number & 255)),
            port: 8080,
            method: BackendMethod::Packet,
        }),
        ..sent(8, "192.168.1.2", SERVICE, 1)
    };
    scenario.drain_after(1, &(0..3_000).map(to_backend).collect::<Vec<_>>());
    scenario.apply(Object::Pod(pod("api", "node-1", "192.168.1.2")));
    let snapshot = scenario.drain_after(3, &[]);
    assert_eq!(snapshot.backends, [2_048, 0, 0, 0].map(of_packets));
    assert_eq!(
        workload_lines(&snapshot),
        ["api ->  / 2048", "api -> other /other 952"]
    );
}

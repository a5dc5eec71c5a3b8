//! What is printed, and what is asked for.

use axum::{Json, Router, extract::RawQuery, routing::get};
use tokio::net::TcpListener;

use super::*;

fn evidence(source: &str, says: &str, age_seconds: Option<f64>, decides: bool) -> Evidence {
    Evidence {
        source: source.to_owned(),
        says: says.to_owned(),
        age_seconds,
        decides,
    }
}

fn price(direction: &str, via: &str, dollars: f64) -> GigabytePrice {
    GigabytePrice {
        direction: direction.to_owned(),
        via: via.to_owned(),
        crossing_to: String::new(),
        dollars,
        as_of: "2025-09".to_owned(),
    }
}

fn database() -> Explained {
    Explained {
        scope: "cross_zone".to_owned(),
        via: String::new(),
        rule: "a pod elsewhere".to_owned(),
        holder: End {
            namespace: "data".to_owned(),
            pod: "db-0".to_owned(),
            workload: "db".to_owned(),
            workload_kind: "StatefulSet".to_owned(),
            zone: "us-east-2b".to_owned(),
            address: "10.0.2.2".to_owned(),
            ..End::default()
        },
        evidence: vec![
            evidence("Pod", "data/db-0 on node-b", Some(90.2), true),
            evidence("networks_file", "a\u{1b}[2J\nb", None, false),
            evidence("special_range", "10.0.0.0/8 private", None, false),
        ],
        prices: Some(vec![
            price("transmit", "", 0.01),
            price("receive", "", 0.01),
        ]),
    }
}

fn answer(what: &str, kind: &str, explained: Vec<Explained>) -> Explanations {
    Explanations {
        what: what.to_owned(),
        node: "node-a".to_owned(),
        zone: "us-east-2a".to_owned(),
        total: 1,
        matches: vec![Match {
            kind: kind.to_owned(),
            namespace: "data".to_owned(),
            name: "db".to_owned(),
            addresses: explained.len() + 2,
            explained,
        }],
    }
}

#[test]
fn says_who_and_why_and_what_it_costs() {
    let expected = "\
seen from node node-a, zone us-east-2a

StatefulSet data/db: 3 addresses, the first 1
10.0.2.2  cross_zone
  namespace data
  pod       db-0
  workload  StatefulSet db
  zone      us-east-2b
  rule      a pod elsewhere
  a GB      costs $0.01 from the pod, $0.01 to the pod; the other end, if it is a pod or a node, pays as much (prices of 2025-09)
because (* decides, the others were considered)
* Pod            data/db-0 on node-b (90 s old)
  networks_file  a\\u{1b}[2J\\nb (age not known)
  special_range  10.0.0.0/8 private (built in)
";
    let shown = text(&answer("data/db", "StatefulSet", vec![database()]));
    assert_eq!(shown, expected);
}

#[test]
fn a_price_is_said_by_the_way_out_and_so_is_none() {
    let nat = [price("transmit", "", 0.09), price("transmit", "nat", 0.135)];
    assert_eq!(
        cost("internet", Some(&nat)),
        "costs $0.09 from the pod, $0.135 from the pod by nat (prices of 2025-09)"
    );
    let crossing = GigabytePrice {
        crossing_to: "us-east-2b".to_owned(),
        ..price("receive", "", 0.01)
    };
    assert_eq!(
        cost(
            "aws_service",
            Some(&[price("receive", "nat", 0.045), crossing])
        ),
        "costs $0.045 to the pod by nat, $0.01 to the pod for crossing to the NAT gateway in us-east-2b (prices of 2025-09)"
    );
    assert_eq!(
        cost("intra_zone", Some(&[])),
        "costs nothing by the prices in force"
    );
    assert!(cost("internet", None).contains("--prices-file"));
}

#[test]
fn what_is_meant_as_an_address_must_be_one() {
    for text in [
        "10.0.0.1",
        "::1",
        "shop/web",
        "web.1",
        "s3.us-east-2.amazonaws.com",
    ] {
        assert_eq!(what(text).as_deref(), Ok(text));
    }
    for text in ["010.0.0.1", "10.0.0", "1:2"] {
        assert_eq!(what(text), Err(ADDRESS.to_owned()), "{text}");
    }
    assert_eq!(encoded("shop/web &=é"), "shop/web%20%26%3D%C3%A9");
}

/// A name that the agent does not know is looked up, and its addresses are asked for.
#[tokio::test]
async fn host_names_are_looked_up_where_the_command_runs() {
    let respond = |RawQuery(query): RawQuery| async move {
        let query = query.unwrap();
        let what = query.strip_prefix("what=").unwrap();
        let explained = Explained {
            scope: what.to_owned(),
            ..Explained::default()
        };
        Json(answer(what, "", vec![explained]))
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let router = Router::new().route("/api/explain", get(respond));
    tokio::spawn(async move { axum::serve(listener, router).await });
    let matches = host(&url.parse().unwrap(), "localhost").await.unwrap();
    assert_eq!(
        (&*matches[0].kind, &*matches[0].name),
        ("Host", "localhost")
    );
    let mut scopes = matches[0].explained.iter().map(|one| &*one.scope);
    assert!(scopes.any(|scope| scope == "127.0.0.1"), "{matches:?}");
    assert!(host(&url.parse().unwrap(), "shop/web").await.is_err());
}

//! The file of totals: what comes back, what does not, and how much is written.

mod directory;
mod host;

use std::{
    fs,
    path::Path,
    sync::Arc,
    time::{Duration, UNIX_EPOCH},
};

use proptest::{collection::btree_map, prelude::*};
use zonemeter_model::{
    cluster::Workload,
    kept::{DrainId, HeldFlow, Kept},
    snapshot::{
        PodLabels, PodSeries, Reason, Scope, Snapshot, Via, WorkloadLabels, WorkloadSeries,
    },
    traffic::{BackendMethod, Count, Direction},
};

use self::host::{held_host, host};
use super::{
    Found, StateDir, Writer,
    file::{self, Owner},
};

fn count(bytes: u64, packets: u64) -> Count {
    Count { bytes, packets }
}

fn pod(number: usize, total: Count) -> PodSeries {
    PodSeries {
        labels: PodLabels {
            namespace: "shop".into(),
            pod: format!("cart-{number:05}").into(),
            zone: "us-east-2a".into(),
            direction: Direction::Receive,
            scope: Scope::CrossZone,
            peer_zone: "us-east-2b".into(),
            via: Via::Unset,
        },
        count: total,
        created: UNIX_EPOCH + Duration::new(1_700_000_000, 250_000_001),
    }
}

fn workload(number: usize, bytes: u64) -> WorkloadSeries {
    let named = |name: &str| Workload {
        kind: "Deployment".into(),
        name: name.into(),
    };
    WorkloadSeries {
        labels: WorkloadLabels {
            namespace: "shop".into(),
            workload: named("cart"),
            zone: "us-east-2a".into(),
            direction: Direction::Transmit,
            scope: Scope::Internet,
            peer_namespace: "pay".into(),
            peer_workload: named(&format!("ledger-{number:05}")),
            peer_zone: "".into(),
            via: Via::Nat,
        },
        bytes,
        own: Count::ZERO,
        created: UNIX_EPOCH + Duration::from_millis(1),
    }
}

fn held(interface: u32) -> HeldFlow {
    HeldFlow {
        interface,
        direction: Direction::Transmit,
        local: [192, 168, 7, 62].into(),
        peer: [0xfd00, 0, 0, 0, 0, 0, 0, 9].into(),
        seen_peer: [172, 20, 0, 10].into(),
        method: Some(BackendMethod::Table),
        count: count(1500, 1),
    }
}

/// Something in every field that is kept.
fn kept(epoch: u64, pods: Vec<PodSeries>, workloads: Vec<WorkloadSeries>) -> Kept {
    let unattributed = Reason::ALL.map(|reason| (reason, [count(epoch, 1), count(3, 2)]));
    let snapshot = Snapshot {
        pods,
        workloads,
        interface: [count(u64::MAX, 7), count(5 * epoch, epoch)],
        unattributed: unattributed.into(),
        retired: [count(9, 8), count(7, 6)],
        before_attach: [count(1, 2), count(3, 4)],
        series_folded: 11,
        drains_that_disagreed: 12,
        hosts: vec![
            host(1, count(epoch, 1)),
            host(epoch as u32 + 1, count(2, 2)),
        ],
        uplinks: [[count(1, 2), count(3, 4), count(5, 6), count(7, epoch)]; 2],
        uplink_received: count(u64::MAX, epoch),
        hosts_retired: [count(8, epoch), count(6, 7)],
        backends: [count(1, 1), count(2, 1), count(3, 1), count(4, 1)],
        ..Snapshot::default()
    };
    Kept {
        drained: vec![
            DrainId {
                instance: u64::MAX,
                epoch: 1,
            },
            DrainId { instance: 5, epoch },
        ],
        snapshot: Arc::new(snapshot),
        held: vec![held(1), held(epoch as u32)],
        held_host: Box::new(held_host(epoch)),
    }
}

fn three() -> [Kept; 3] {
    let pods = |bytes| vec![pod(1, count(bytes, 1)), pod(2, count(20, 2))];
    let mut last = pods(15);
    last.remove(1);
    last.push(pod(3, count(1, 1)));
    [
        kept(1, pods(10), vec![workload(1, 10)]),
        kept(2, pods(15), vec![workload(1, 15), workload(2, 1)]),
        kept(3, last, vec![workload(0, 4), workload(2, 1)]),
    ]
}

fn owner() -> Owner {
    Owner {
        node: "node-1".into(),
        boot: "boot".into(),
    }
}

/// The file after each of these, as lengths, and the last one's bytes.
fn files(all: &[Kept]) -> (Vec<usize>, Vec<u8>) {
    let mut bytes = file::whole(&owner(), &all[0]).unwrap();
    let mut lengths = vec![bytes.len()];
    for pair in all.windows(2) {
        bytes.extend(file::step(&pair[0], &pair[1]).unwrap());
        lengths.push(bytes.len());
    }
    (lengths, bytes)
}

/// All that is kept, for comparison.
fn shown(kept: &Kept) -> String {
    format!("{kept:?}")
}

#[test]
fn what_is_written_comes_back() {
    let all = three();
    let (_, bytes) = files(&all);
    let contents = file::read(&bytes, "node-1").unwrap();
    assert_eq!(shown(&contents.kept), shown(&all[2]));
    assert_eq!((contents.owner, contents.torn), (owner(), 0));
}

#[test]
fn a_file_that_ends_early_is_read_up_to_its_last_whole_step() {
    let all = three();
    let (lengths, bytes) = files(&all);
    for end in 0..bytes.len() {
        let read = file::read(&bytes[..end], "node-1");
        let whole = lengths.iter().rposition(|length| *length <= end);
        match whole {
            None => assert!(read.is_err(), "{end}: nothing is whole"),
            Some(last) => {
                let contents = read.unwrap();
                assert_eq!(shown(&contents.kept), shown(&all[last]), "{end}");
                assert_eq!(contents.torn, end - lengths[last], "{end}");
            }
        }
    }
}

#[test]
fn any_changed_byte_is_refused() {
    let (_, bytes) = files(&three());
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1 << bit;
            assert!(
                file::read(&damaged, "node-1").is_err(),
                "byte {at} bit {bit}"
            );
        }
    }
}

#[test]
fn foreign_files_are_named() {
    let (lengths, mut bytes) = files(&three());
    let line = |bytes: &[u8], node| format!("{:#}", file::read(bytes, node).unwrap_err());
    bytes[lengths[2] - 1] ^= 1;
    let damaged = format!("byte {}: a frame is damaged", lengths[1]);
    assert_eq!(line(&bytes, "node-1"), damaged);
    bytes[lengths[2] - 1] ^= 1;
    assert_eq!(
        line(&bytes, "node-2"),
        "it is of node \"node-1\", this is node \"node-2\""
    );
    let other = [b"zonemeter totals 99\n", &bytes[19..]].concat();
    assert_eq!(
        line(&other, "node-1"),
        "it begins with \"zonemeter totals 99\", which is not of this version"
    );
    assert!(line(b"", "node-1").contains("not of this version"));
    let twice = [&bytes[..], &bytes[19..]].concat();
    assert!(file::read(&twice, "node-1").is_err(), "two files in one");
}

/// Opens the directory as an agent of `node` does.
fn open(path: &Path, node: &str) -> (Found, Writer) {
    let directory = StateDir::open(path).unwrap();
    assert!(directory.try_lock().unwrap());
    directory.restore(node).unwrap()
}

#[test]
fn a_file_that_cannot_be_used_is_set_aside() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    for (number, contents) in [(1, "zonemeter totals 0\n"), (2, "")] {
        fs::write(path("totals"), contents).unwrap();
        let (found, mut writer) = open(directory.path(), "node-1");
        assert!(matches!(found, Found::Refused), "{found:?}");
        assert!(!path("totals").exists());
        let aside = fs::read_to_string(path(&format!("totals.refused-{number}")));
        assert_eq!(aside.unwrap(), contents);
        writer.write(three()[0].clone()).unwrap();
    }
    assert!(matches!(open(directory.path(), "node-2").0, Found::Refused));
    assert!(path("totals.refused-3").exists());
    assert!(matches!(open(directory.path(), "node-2").0, Found::Nothing));
}

#[test]
fn one_agent_at_a_time_has_the_directory() {
    let directory = tempfile::tempdir().unwrap();
    let (_, writer) = open(directory.path(), "node-1");
    let second = StateDir::open(directory.path()).unwrap();
    assert!(!second.try_lock().unwrap());
    drop(writer);
    assert!(second.try_lock().unwrap());
}

#[test]
fn an_unusable_directory_is_one_line_with_flag_value_and_remedy() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    fs::write(&file, "").unwrap();
    for path in [directory.path().join("absent"), file] {
        let line = format!("{:#}", StateDir::open(&path).unwrap_err());
        assert!(
            line.starts_with("--state-dir: ") && !line.contains('\n'),
            "{line}"
        );
        assert!(line.contains(path.to_str().unwrap()), "{line}");
        assert!(line.contains("name a directory"), "{line}");
    }
}

#[test]
fn a_long_file_is_begun_anew() {
    let directory = tempfile::tempdir().unwrap();
    let (_, mut writer) = open(directory.path(), "node-1");
    let series = |round: u64| {
        let pods = (0..2000).map(|number| pod(number, count(round * 300, round)));
        kept(round, pods.collect(), Vec::new())
    };
    let path = directory.path().join("totals");
    let (mut begun, mut whole, mut length) = (0, 0, 0);
    for round in 1..=600 {
        let written = writer.write(series(round)).unwrap();
        let now = fs::metadata(&path).unwrap().len();
        if round > 1 && now > length {
            assert_eq!(written, now - length);
        } else {
            // The whole record, twice as much in steps, 1 MiB, and the step that was one too many.
            let most = 3 * whole + (1 << 20);
            let is_long = (most..most + 100_000).contains(&length);
            assert!(round == 1 || is_long, "{length}, {whole}");
            assert_eq!(written, now);
            (begun, whole) = (begun + 1, now);
        }
        length = now;
    }
    assert!(begun >= 3, "{begun}");
    drop(writer);
    match open(directory.path(), "node-1").0 {
        Found::Totals { kept, same_boot } => {
            assert!(same_boot);
            assert_eq!(shown(&kept), shown(&series(600)));
        }
        found => panic!("{found:?}"),
    }
}

/// 1,000 series before and 1,000 behind it are as they were.
#[test]
fn a_new_series_is_written_alone() {
    let series = |numbers: &[usize]| {
        let pods = numbers.iter().map(|number| pod(*number, count(1, 1)));
        kept(1, pods.collect(), Vec::new())
    };
    let mut numbers: Vec<_> = (0..2_001).collect();
    let all = series(&numbers);
    numbers.remove(1_000);
    let written = file::step(&series(&numbers), &all).unwrap().len();
    assert!(written < 1_000, "{written}");
}

/// 5,000 flows, each a series of its own in both families, all busy in each drain: more than a node
/// with so many flows has. At the default interval of 5 s.
#[test]
fn five_thousand_active_series_write_less_than_100_kb_each_second() {
    let directory = tempfile::tempdir().unwrap();
    let (_, mut writer) = open(directory.path(), "node-1");
    let drains = 200;
    let series = |round: u64| {
        // From 100 bytes to some megabytes for each flow and drain.
        let grown = |number: usize| round * (100 << (number % 16)) as u64;
        let pods = (0..5000).map(|number| pod(number, count(grown(number), grown(number) / 700)));
        let workloads = (0..5000).map(|number| workload(number, grown(number)));
        kept(round, pods.collect(), workloads.collect())
    };
    let written: u64 = (1..=drains)
        .map(|round| writer.write(series(round)).unwrap())
        .sum();
    let per_second = written / (5 * drains);
    assert!(
        (10_000..25_000).contains(&per_second),
        "{per_second} bytes/s"
    );
}

proptest! {
    #[test]
    fn any_two_lists_of_series_are_bridged(
        before in btree_map(0..30_usize, (0..9_u64, 0..9_u64), 0..20),
        after in btree_map(0..30_usize, (0..9_u64, 0..9_u64), 0..20),
    ) {
        let kept = |numbers: std::collections::BTreeMap<usize, (u64, u64)>| {
            let pods = numbers.iter().map(|(number, total)| pod(*number, count(total.0, total.1)));
            let workloads = numbers.iter().map(|(number, total)| workload(*number, total.0));
            kept(1, pods.collect(), workloads.collect())
        };
        let all = [kept(before), kept(after)];
        let (_, bytes) = files(&all);
        let contents = file::read(&bytes, "node-1").unwrap();
        prop_assert_eq!(shown(&contents.kept), shown(&all[1]));
    }
}

/// As versions before wrote it (postcard: whole numbers in 7-bit groups, a text after its length): the
/// direction by its code, the method by its name.
#[test]
fn a_held_flow_stays_the_same_bytes() {
    let written = postcard::to_stdvec(&held(300)).unwrap();
    let mut expected = vec![0xac, 0x02, 0];
    expected.extend([0, 192, 168, 7, 62]);
    expected.extend([1, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9]);
    expected.extend([0, 172, 20, 0, 10]);
    expected.extend([1, 15]);
    expected.extend(b"conntrack_table");
    expected.extend([0xdc, 0x0b, 1]);
    assert_eq!(written, expected);
}

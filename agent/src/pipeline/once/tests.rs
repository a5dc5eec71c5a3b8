//! Agents that are killed anywhere between a drain and its end, and the ones after them.

use std::{
    collections::BTreeMap,
    fs,
    net::{IpAddr, Ipv4Addr},
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use anyhow::{Result, bail};
use futures::FutureExt as _;
use proptest::{collection::vec, prelude::*};
use zonemeter_account::Settings;
use zonemeter_metrics::SelfMetrics;
use zonemeter_model::{
    cluster::{Change, Name, Node, Object, Pod, Workload},
    traffic::{Count, Direction, Flow, Interface},
};
use zonemeter_state::{Found, StateDir};

use super::{super::state_store::WriterThread, *};

mod objects;

use objects::{count, flow, introduce};

/// Where an agent is killed.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Killed {
    /// The map sets are switched, nothing is read.
    BeforeReading,
    /// It is added and handed to the thread that writes, which has not begun.
    Handed,
    /// So many thousandths of the step are in the file.
    Writing(usize),
    /// All of it is, and nobody has heard of it.
    BeforeClearing,
    /// Some flows are deleted.
    Clearing,
    /// It ends in good order.
    Not,
}

/// What outlives an agent: the pinned maps and the state directory.
struct Machine {
    maps: Maps,
    state: tempfile::TempDir,
    /// Packets that ran over the veth.
    sent: u64,
    shown: u64,
}

#[derive(Default)]
struct Maps {
    epoch: u64,
    /// Packets by the last number of the peer's address, and in all.
    sets: [(BTreeMap<u8, u64>, u64); 2],
}

/// The kernel of one life. Its first drain reads the set at rest once more.
struct Kernel<'a> {
    maps: &'a mut Maps,
    uncleared: bool,
    killed: Killed,
}

impl Source for Kernel<'_> {
    fn drain(&mut self) -> Result<Drain> {
        if !self.uncleared {
            self.maps.epoch += 1;
            self.uncleared = true;
        }
        if self.killed == Killed::BeforeReading {
            bail!("killed");
        }
        let epoch = self.maps.epoch - 1;
        let (flows, seen) = &self.maps.sets[(epoch & 1) as usize];
        let now = Instant::now();
        Ok(Drain {
            instance: 77,
            epoch,
            from: now,
            until: now,
            flows: flows
                .iter()
                .map(|(peer, packets)| flow(*peer, *packets))
                .collect(),
            seen: [count(*seen), Count::ZERO],
            overflow: Vec::new(),
            unplaced: [Count::ZERO; 2],
            host: Default::default(),
        })
    }

    fn clear(&mut self) -> Result<Vec<u32>> {
        let (flows, seen) = &mut self.maps.sets[1 - (self.maps.epoch & 1) as usize];
        match self.killed {
            Killed::Not => {}
            Killed::Clearing => {
                flows.pop_first();
                bail!("killed");
            }
            _ => bail!("killed"),
        }
        flows.clear();
        *seen = 0;
        self.uncleared = false;
        Ok(Vec::new())
    }
}

impl Machine {
    fn new() -> Self {
        let maps = Maps {
            epoch: 2,
            ..Maps::default()
        };
        Self {
            maps,
            state: tempfile::tempdir().unwrap(),
            sent: 0,
            shown: 0,
        }
    }

    fn send(&mut self, peer: u8, packets: u64) {
        let set = &mut self.maps.sets[(self.maps.epoch & 1) as usize];
        *set.0.entry(peer).or_default() += packets;
        set.1 += packets;
        self.sent += packets;
    }

    /// One agent from its start through these drains; each but the last ends well. A packet comes
    /// between the halves of each.
    fn life(&mut self, drains: &[(Vec<(u8, u64)>, Killed)]) {
        let (mut account, mut store, mut thread) = self.start();
        let mut uncleared = true;
        for (packets, killed) in drains {
            packets
                .iter()
                .for_each(|(peer, count)| self.send(*peer, *count));
            let before = self.file();
            let mut kernel = self.kernel(uncleared, *killed);
            let begun = begin(&mut kernel, &mut account, &mut store, SystemTime::now());
            uncleared = kernel.uncleared;
            let underway = match begun {
                Ok(_) if *killed == Killed::Handed => return,
                Ok(underway) => underway,
                Err(_) if *killed == Killed::BeforeReading => return,
                Err(error) => panic!("{error:#}"),
            };
            self.send(9, 1);
            assert!(store.written().now_or_never().is_none(), "nobody wrote");
            thread.step();
            match killed {
                Killed::Writing(part) => return self.tear(&before, *part),
                Killed::BeforeClearing => return,
                _ => assert_eq!(store.written().now_or_never(), Some(true)),
            }
            let mut kernel = self.kernel(uncleared, *killed);
            let ended = underway.end(&mut kernel, &mut account);
            uncleared = kernel.uncleared;
            match (ended, killed) {
                (Ok(ended), Killed::Not) => self.show(&ended.snapshot),
                (Err(_), Killed::Clearing) => return,
                (ended, killed) => panic!("{killed:?} and {ended:?}"),
            }
        }
    }

    fn kernel(&mut self, uncleared: bool, killed: Killed) -> Kernel<'_> {
        Kernel {
            maps: &mut self.maps,
            uncleared,
            killed,
        }
    }

    fn start(&self) -> (Account, StateStore, WriterThread) {
        let directory = StateDir::open(self.state.path()).unwrap();
        // A process that another test starts holds it too, until it runs its own program.
        let deadline = Instant::now() + Duration::from_secs(10);
        while !directory.try_lock().unwrap() {
            assert!(Instant::now() < deadline, "the last agent is gone");
            std::thread::yield_now();
        }
        let (found, writer) = directory.restore("node-1").unwrap();
        let mut account = Account::new(Settings::new("node-1".into()));
        match found {
            Found::Nothing => {}
            Found::Totals { kept, same_boot } => {
                account.restore(&kept, same_boot, Instant::now());
            }
            Found::Refused => panic!("refused"),
        }
        introduce(&mut account);
        let (store, thread) = StateStore::new(writer, SelfMetrics::default());
        (account, store, thread)
    }

    /// What a scrape shows never goes back, and its sums hold.
    fn show(&mut self, snapshot: &Snapshot) {
        let of_pods = snapshot.pods.iter().map(|series| series.count.packets);
        let of_pods: u64 = of_pods.sum();
        assert_eq!(of_pods, snapshot.interface[0].packets);
        assert_eq!(snapshot.drains_that_disagreed, 0);
        assert!(of_pods >= self.shown, "{of_pods} after {}", self.shown);
        self.shown = of_pods;
    }

    fn path(&self) -> PathBuf {
        self.state.path().join("totals")
    }

    fn file(&self) -> Vec<u8> {
        fs::read(self.path()).unwrap_or_default()
    }

    /// As if the writer had been killed before the last write was through: an appended step is
    /// there in part, a new file is there as a whole or not at all.
    fn tear(&self, before: &[u8], part: usize) {
        let after = self.file();
        let torn = match after.starts_with(before) && !before.is_empty() {
            true => &after[..before.len() + (after.len() - before.len()) * part / 1000],
            false => before,
        };
        match torn.is_empty() {
            true => fs::remove_file(self.path()).unwrap(),
            false => fs::write(self.path(), torn).unwrap(),
        }
    }
}

/// Both halves of one drain, and the write between them.
fn pass(
    kernel: &mut Kernel<'_>,
    account: &mut Account,
    (store, thread): (&mut StateStore, &mut WriterThread),
) -> Result<Arc<Snapshot>> {
    let underway = begin(kernel, account, store, SystemTime::now())?;
    thread.step();
    let kept = store.written().now_or_never();
    assert_eq!(kept, Some(!store.failing));
    Ok(underway.end(kernel, account)?.snapshot)
}

fn killed() -> impl Strategy<Value = Killed> {
    prop_oneof![
        Just(Killed::BeforeReading),
        Just(Killed::Handed),
        (0..=1000_usize).prop_map(Killed::Writing),
        Just(Killed::BeforeClearing),
        Just(Killed::Clearing),
        Just(Killed::Not),
    ]
}

/// What is sent before a drain.
fn packets() -> impl Strategy<Value = Vec<(u8, u64)>> {
    vec((1..6_u8, 1..1000_u64), 0..4)
}

/// A life that ends in good order after two drains has brought in everything.
fn all_is_counted(machine: &mut Machine) {
    machine.life(&[(Vec::new(), Killed::Not), (Vec::new(), Killed::Not)]);
    // The packet that came between the halves of the last drain is still in the other set.
    assert_eq!(machine.shown + 1, machine.sent);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn every_packet_is_counted_once_wherever_agents_are_killed(
        lives in vec((vec(packets(), 0..4), packets(), killed()), 1..8),
    ) {
        let mut machine = Machine::new();
        for (drains, last, killed) in lives {
            let mut drains: Vec<_> = drains.into_iter().map(|sent| (sent, Killed::Not)).collect();
            drains.push((last, killed));
            machine.life(&drains);
        }
        all_is_counted(&mut machine);
    }
}

#[test]
fn a_step_is_written_in_whole_or_counts_for_nothing() {
    for part in (0..=1000).step_by(25) {
        let mut machine = Machine::new();
        let sent = |packets| vec![(1, packets), (2, packets)];
        machine.life(&[
            (sent(5), Killed::Not),
            (sent(10), Killed::Not),
            (sent(20), Killed::Writing(part)),
        ]);
        machine.send(3, 40);
        all_is_counted(&mut machine);
    }
}

#[test]
fn a_set_that_could_not_be_cleared_is_not_added_again_by_the_same_agent() {
    let mut machine = Machine::new();
    let (mut account, mut store, mut thread) = machine.start();
    machine.send(1, 5);
    machine.send(2, 5);
    let mut kernel = machine.kernel(false, Killed::Clearing);
    let mut drain = |kernel: &mut Kernel<'_>| pass(kernel, &mut account, (&mut store, &mut thread));
    assert!(drain(&mut kernel).is_err() && drain(&mut kernel).is_err());
    kernel.killed = Killed::Not;
    for _ in 0..2 {
        assert_eq!(drain(&mut kernel).unwrap().interface[0], count(10));
    }
    drop((account, store, thread));
    all_is_counted(&mut machine);
}

#[test]
fn a_write_that_fails_stops_nothing_and_is_made_good() {
    let mut machine = Machine::new();
    let (mut account, mut store, mut thread) = machine.start();
    let in_the_way = machine.state.path().join("totals.new");
    fs::create_dir(&in_the_way).unwrap();
    let mut uncleared = false;
    for failing in [true, true, false] {
        if !failing {
            fs::remove_dir(&in_the_way).unwrap();
        }
        machine.send(1, 5);
        let mut kernel = machine.kernel(uncleared, Killed::Not);
        let passed = pass(&mut kernel, &mut account, (&mut store, &mut thread));
        uncleared = kernel.uncleared;
        machine.show(&passed.unwrap());
        assert_eq!(machine.shown, machine.sent);
        assert_eq!(store.failing, failing);
    }
    drop((account, store, thread));
    machine.life(&[(Vec::new(), Killed::BeforeClearing)]);
    all_is_counted(&mut machine);
}

#[test]
fn created_timestamps_outlive_the_agent() {
    let mut machine = Machine::new();
    let created = |machine: &Machine| {
        let (account, ..) = machine.start();
        let snapshot: Arc<Snapshot> = Arc::new(account.snapshot());
        let pods = snapshot.pods.iter().map(|series| series.created);
        let workloads = snapshot.workloads.iter().map(|series| series.created);
        pods.chain(workloads).collect::<Vec<SystemTime>>()
    };
    machine.life(&[(vec![(1, 1)], Killed::Not), (vec![(1, 1)], Killed::Not)]);
    let first = created(&machine);
    assert!(!first.is_empty());
    machine.life(&[(vec![(1, 9)], Killed::Not), (vec![(1, 1)], Killed::Not)]);
    assert_eq!(created(&machine), first);
}

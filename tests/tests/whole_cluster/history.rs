//! A month of a cluster of which every sum is known, as recording rules would have left it.

use std::{
    fmt::Write as _,
    fs::File,
    io::{BufWriter, Write as _},
    path::{Path, PathBuf},
    process::Command,
    time::{SystemTime, UNIX_EPOCH},
};

pub(super) const NODES: usize = 110;
pub(super) const PODS: usize = 5_500;
pub(super) const WORKLOADS: usize = 275;
pub(super) const PEERS: usize = 5;
pub(super) const ZONES: [&str; 3] = ["us-east-2a", "us-east-2b", "us-east-2c"];
pub(super) const STEP: u64 = 300;
pub(super) const WEEK: u64 = 7 * 86_400;
/// Pairs whose dollars are known for the whole month: the dearest.
pub(super) const DEAREST: usize = 40;

/// One end of a pair in one direction, or what it cost.
#[derive(Clone)]
pub(super) struct Conversation {
    pub(super) from: usize,
    pub(super) to: usize,
    pub(super) zones: [usize; 2],
    /// Bytes per second there and back.
    pub(super) rates: [f64; 2],
}

impl Conversation {
    pub(super) fn scope(&self) -> &'static str {
        match self.zones[0] == self.zones[1] {
            true => "intra_zone",
            false => "cross_zone",
        }
    }

    /// At one cent for each gigabyte and end, both ends, 730 hours.
    pub(super) fn dollars_per_month(&self) -> f64 {
        match self.scope() {
            "cross_zone" => (self.rates[0] + self.rates[1]) * 2.0 * 0.01 / 1e9 * 3600.0 * 730.0,
            _ => 0.0,
        }
    }

    /// Labels of the end that is the first one, or of the other one.
    pub(super) fn labels(&self, turned: bool) -> String {
        let mut ends = [(self.from, self.zones[0]), (self.to, self.zones[1])];
        if turned {
            ends.reverse();
        }
        let [(own, zone), (peer, peer_zone)] = ends;
        format!(
            "namespace=\"{}\",workload=\"{}\",workload_kind=\"Deployment\",zone=\"{}\",\
             peer_namespace=\"{}\",peer_workload=\"{}\",peer_workload_kind=\"Deployment\",\
             peer_zone=\"{}\",scope=\"{}\"",
            namespace(own),
            workload(own),
            ZONES[zone],
            namespace(peer),
            workload(peer),
            ZONES[peer_zone],
            self.scope()
        )
    }
}

pub(super) fn namespace(workload: usize) -> String {
    format!("team-{:02}", workload / 11)
}

pub(super) fn workload(index: usize) -> String {
    format!("service-{index:03}")
}

/// Every workload speaks with five others, from each zone to each zone.
pub(super) fn conversations() -> Vec<Conversation> {
    let mut all = Vec::new();
    for from in 0..WORKLOADS {
        for peer in 1..=PEERS {
            for zone in 0..ZONES.len() {
                for peer_zone in 0..ZONES.len() {
                    let sent = (1_000 * (from % 17 + 1) * peer + 10 * zone + peer_zone) as f64;
                    all.push(Conversation {
                        from,
                        to: (from + 7 * peer * peer + 1) % WORKLOADS,
                        zones: [zone, peer_zone],
                        rates: [sent, 10.0 * sent],
                    });
                }
            }
        }
    }
    all
}

/// The samples of one series at some times, all of the same value.
pub(super) fn series(
    file: &mut impl std::io::Write,
    name: &str,
    labels: &str,
    value: f64,
    times: &[u64],
) {
    let mut lines = String::new();
    for time in times {
        writeln!(lines, "{name}{{{labels}}} {value} {time}").unwrap();
    }
    file.write_all(lines.as_bytes()).unwrap();
}

pub(super) fn written(path: PathBuf, write: impl FnOnce(&mut BufWriter<File>)) -> PathBuf {
    let mut file = BufWriter::new(File::create(&path).unwrap());
    write(&mut file);
    file.write_all(b"# EOF\n").unwrap();
    file.flush().unwrap();
    path
}

pub(super) fn times(from: u64, to: u64) -> Vec<u64> {
    (from / STEP * STEP..=to).step_by(STEP as usize).collect()
}

pub(super) const RATES: &str = "workload_peer:zonemeter_bytes:rate5m";
pub(super) const DOLLARS: &str = "workload_peer:zonemeter_transfer_dollars:increase5m";

pub(super) fn write_rates(
    file: &mut impl std::io::Write,
    all: &[Conversation],
    factor: f64,
    times: &[u64],
) {
    writeln!(file, "# TYPE {RATES} gauge").unwrap();
    for one in all {
        for turned in [false, true] {
            let [sent, received] = if turned { [1, 0] } else { [0, 1] }.map(|at| one.rates[at]);
            let labels = one.labels(turned);
            for (direction, rate) in [("transmit", sent), ("receive", received)] {
                let labels = format!("{labels},direction=\"{direction}\"");
                series(file, RATES, &labels, factor * rate, times);
            }
        }
    }
}

/// Of each end, what five minutes cost.
pub(super) fn write_dollars(file: &mut impl std::io::Write, all: &[Conversation], times: &[u64]) {
    writeln!(file, "# TYPE {DOLLARS} gauge").unwrap();
    for one in all.iter().filter(|one| one.scope() == "cross_zone") {
        let cost = one.dollars_per_month() / 2.0 / 730.0 / 12.0;
        for turned in [false, true] {
            let labels = format!("{},as_of=\"2025-09\"", one.labels(turned));
            series(file, DOLLARS, &labels, cost, times);
        }
    }
}

pub(super) fn write_sums(file: &mut impl std::io::Write, all: &[Conversation], times: &[u64]) {
    let name = "namespace:zonemeter_transfer_dollars:increase5m";
    writeln!(file, "# TYPE {name} gauge").unwrap();
    let mut sums = vec![0.0; WORKLOADS / 11 + 1];
    for one in all {
        let cost = one.dollars_per_month() / 2.0 / 730.0 / 12.0;
        sums[one.from / 11] += cost;
        sums[one.to / 11] += cost;
    }
    for (index, sum) in sums.iter().enumerate().filter(|(_, sum)| **sum > 0.0) {
        let labels = format!("namespace=\"team-{index:02}\",scope=\"cross_zone\"");
        series(file, name, &labels, *sum, times);
    }
}

pub(super) fn write_prices(file: &mut impl std::io::Write, times: &[u64]) {
    let name = "zonemeter:price_in_force:dollars_per_gigabyte";
    writeln!(file, "# TYPE {name} gauge").unwrap();
    for direction in ["transmit", "receive"] {
        let labels = format!("scope=\"cross_zone\",direction=\"{direction}\",as_of=\"2025-09\"");
        series(file, name, &labels, 0.01, times);
    }
    writeln!(file, "# TYPE zonemeter:gigabyte:bytes gauge").unwrap();
    series(file, "zonemeter:gigabyte:bytes", "", 1e9, times);
    writeln!(file, "# TYPE zonemeter_build_info gauge").unwrap();
    for node in 0..NODES {
        let labels = format!("job=\"zonemeter\",instance=\"node-{node}\"");
        series(file, "zonemeter_build_info", &labels, 1.0, times);
    }
}

/// Counters of pods, in four scopes and zones each.
pub(super) fn write_pods(file: &mut impl std::io::Write, now: u64) {
    let name = "zonemeter_pod_bytes";
    writeln!(file, "# TYPE {name} counter").unwrap();
    for pod in 0..PODS {
        let own = pod % WORKLOADS;
        for (peer_zone, zone) in ZONES.iter().enumerate() {
            let scope = if peer_zone == pod % 3 {
                "intra_zone"
            } else {
                "cross_zone"
            };
            for direction in ["transmit", "receive"] {
                let labels = format!(
                    "job=\"zonemeter\",instance=\"node-{}\",namespace=\"{}\",pod=\"{}-{pod}\",\
                     zone=\"{}\",scope=\"{scope}\",peer_zone=\"{zone}\",direction=\"{direction}\"",
                    pod % NODES,
                    namespace(own),
                    workload(own),
                    ZONES[pod % 3]
                );
                let mut lines = String::new();
                for minute in 0..30 {
                    let time = now - 600 + 60 * minute;
                    let bytes = minute * 60 * (pod as u64 + 1);
                    writeln!(lines, "{name}_total{{{labels}}} {bytes} {time}").unwrap();
                }
                file.write_all(lines.as_bytes()).unwrap();
            }
        }
    }
}

pub(super) fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs()
}

/// The last hour and what is to come, the same a week ago at half the rates, and the month of the
/// dearest pairs.
pub(super) fn write(folder: &Path, all: &[Conversation], now: u64) -> Vec<PathBuf> {
    let recent = times(now - 3_900, now + 1_200);
    let hour = written(folder.join("hour.txt"), |file| {
        write_rates(file, all, 1.0, &recent);
        write_dollars(file, all, &recent);
        write_prices(file, &recent);
    });
    let earlier = times(now - WEEK - 600, now - WEEK + 1_200);
    let week = written(folder.join("week.txt"), |file| {
        write_rates(file, all, 0.5, &earlier);
    });
    let pods = written(folder.join("pods.txt"), |file| write_pods(file, now));
    let mut files = vec![hour, week, pods];
    let start = month_start(now);
    let dearest = dearest(all);
    for from in (start..now + 1_200).step_by(86_400) {
        let day = times(from, (from + 86_399).min(now + 1_200));
        let before: Vec<u64> = day
            .iter()
            .copied()
            .filter(|time| *time < recent[0])
            .collect();
        files.push(written(folder.join(format!("{from}.txt")), |file| {
            write_sums(file, all, &day);
            write_dollars(file, &dearest, &before);
        }));
    }
    files
}

pub(super) fn dearest(all: &[Conversation]) -> Vec<Conversation> {
    let mut sorted = all.to_vec();
    sorted.sort_by(|one, other| {
        other
            .dollars_per_month()
            .total_cmp(&one.dollars_per_month())
    });
    sorted.truncate(DEAREST);
    sorted
}

/// By the calendar of `date`.
pub(super) fn month_start(now: u64) -> u64 {
    let date = |arguments: &[&str]| {
        let output = Command::new("date")
            .arg("--utc")
            .args(arguments)
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    let first = date(&[&format!("--date=@{now}"), "+%Y-%m-01"]);
    date(&[&format!("--date={first}"), "+%s"]).parse().unwrap()
}

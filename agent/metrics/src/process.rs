//! The standard `process_` metrics (<https://prometheus.io/docs/instrumenting/writing_clientlibs/#process-metrics>),
//! read from /proc at each scrape. A value that cannot be read is left out of that scrape.

use std::fs;

use procfs::process::{self, LimitValue};

use super::{
    catalogue::{
        PROCESS_CPU, PROCESS_MAX_FDS, PROCESS_OPEN_FDS, PROCESS_RESIDENT, PROCESS_START,
        PROCESS_VIRTUAL,
    },
    exposition::{Decimal, Exposition},
};

/// Reads this process's numbers and writes them.
pub(super) fn write(body: &mut Exposition) {
    let open = open_files();
    let process = process::Process::myself().ok();
    let stat = process.as_ref().and_then(|process| process.stat().ok());
    let status = process.as_ref().and_then(|process| process.status().ok());
    let limits = process.as_ref().and_then(|process| process.limits().ok());
    let cpu = stat.as_ref().map(|stat| seconds(stat.utime + stat.stime));
    let bytes = |kibibytes: Option<u64>| kibibytes.map(|number| (number * 1024) as f64);
    let resident = status.as_ref().and_then(|status| bytes(status.vmrss));
    let virtual_size = status.as_ref().and_then(|status| bytes(status.vmsize));
    let most_open = limits.and_then(|limits| match limits.max_open_files.soft_limit {
        LimitValue::Value(most) => Some(most as f64),
        LimitValue::Unlimited => None,
    });
    let boot = procfs::boot_time_secs().ok();
    let start = boot
        .zip(stat)
        .map(|(boot, stat)| boot as f64 + seconds(stat.starttime));
    for (metric, value) in [
        (&PROCESS_CPU, cpu),
        (&PROCESS_RESIDENT, resident),
        (&PROCESS_VIRTUAL, virtual_size),
        (&PROCESS_OPEN_FDS, open),
        (&PROCESS_MAX_FDS, most_open),
        (&PROCESS_START, start),
    ] {
        if let Some(value) = value {
            body.family(metric).sample(&[], Decimal(value));
        }
    }
}

fn seconds(ticks: u64) -> f64 {
    ticks as f64 / procfs::ticks_per_second() as f64
}

/// The directory itself is open while it is read and is not counted.
fn open_files() -> Option<f64> {
    let open = fs::read_dir("/proc/self/fd").ok()?.count();
    Some(open.saturating_sub(1) as f64)
}

#[cfg(test)]
mod tests {
    use super::{super::exposition::Format, *};

    /// Against what the kernel says in other places.
    #[test]
    fn this_process_has_all_of_them() {
        let mut body = Exposition::new(Format::OpenMetrics, false);
        write(&mut body);
        let written = body.text().to_owned();
        let value = |name: &str| -> f64 {
            let line = written.lines().find_map(|line| line.strip_prefix(name));
            let number = line.and_then(|rest| rest.strip_prefix(' '));
            number.expect(name).parse().unwrap()
        };
        assert!(value("process_cpu_seconds_total") >= 0.0);
        let statm = fs::read_to_string("/proc/self/statm").unwrap();
        let pages: f64 = statm.split(' ').next().unwrap().parse().unwrap();
        let size = value("process_virtual_memory_bytes");
        assert!(
            (size / 4096.0 - pages).abs() < 0.5 * pages,
            "{size} {statm}"
        );
        let resident = value("process_resident_memory_bytes");
        assert!(0.0 < resident && resident <= size, "{resident}");
        let [open, most] = ["process_open_fds", "process_max_fds"].map(value);
        assert!((3.0..=most).contains(&open), "{open} of {most}");
        let age = std::time::SystemTime::UNIX_EPOCH
            .elapsed()
            .unwrap()
            .as_secs_f64()
            - value("process_start_time_seconds");
        assert!((-1.0..600.0).contains(&age), "began {age} s ago");
    }
}

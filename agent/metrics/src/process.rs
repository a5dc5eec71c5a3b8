//! The standard `process_` metrics (<https://prometheus.io/docs/instrumenting/writing_clientlibs/#process-metrics>),
//! read from /proc at each scrape. A value that cannot be read is left out of that scrape.

use std::{fmt, fs};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{counter::ConstCounter, gauge::ConstGauge},
    registry::Unit,
};

use super::catalogue::{
    Metric, PROCESS_CPU, PROCESS_MAX_FDS, PROCESS_OPEN_FDS, PROCESS_RESIDENT, PROCESS_START,
    PROCESS_VIRTUAL,
};

/// Reads this process's numbers whenever the registry is encoded.
#[derive(Debug)]
pub(super) struct Process;

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let stat = read("/proc/self/stat");
        let status = read("/proc/self/status");
        let limits = read("/proc/self/limits");
        counter(
            &mut encoder,
            &PROCESS_CPU,
            stat.as_deref().and_then(cpu_seconds),
        )?;
        let started = stat.as_deref().and_then(ticks_from_boot_to_start);
        let boot = read("/proc/stat").as_deref().and_then(boot_time);
        let start = boot
            .zip(started)
            .map(|(boot, ticks)| boot + ticks / TICKS_PER_SECOND);
        for (metric, value) in [
            (
                &PROCESS_RESIDENT,
                status.as_deref().and_then(|text| bytes_of(text, "VmRSS:")),
            ),
            (
                &PROCESS_VIRTUAL,
                status.as_deref().and_then(|text| bytes_of(text, "VmSize:")),
            ),
            (&PROCESS_OPEN_FDS, open_files()),
            (&PROCESS_MAX_FDS, limits.as_deref().and_then(most_files)),
            (&PROCESS_START, start),
        ] {
            gauge(&mut encoder, metric, value)?;
        }
        Ok(())
    }
}

/// USER_HZ: the unit of times in /proc/pid/stat, 100 on every machine that Kubernetes runs on
/// (proc_pid_stat(5), time(7)).
const TICKS_PER_SECOND: f64 = 100.0;

fn read(path: &str) -> Option<String> {
    fs::read_to_string(path).ok()
}

/// The field of /proc/pid/stat with this number in proc_pid_stat(5), from 3 on. The second field
/// is the program's name in brackets and may hold blanks and brackets itself.
fn stat_field(stat: &str, number: usize) -> Option<f64> {
    let (_, after_name) = stat.rsplit_once(')')?;
    after_name.split_whitespace().nth(number - 3)?.parse().ok()
}

/// User (14) and system (15) time of all threads.
fn cpu_seconds(stat: &str) -> Option<f64> {
    Some((stat_field(stat, 14)? + stat_field(stat, 15)?) / TICKS_PER_SECOND)
}

fn ticks_from_boot_to_start(stat: &str) -> Option<f64> {
    stat_field(stat, 22)
}

/// When the machine booted, as Unix time in seconds, from /proc/stat.
fn boot_time(stat: &str) -> Option<f64> {
    let line = stat.lines().find_map(|line| line.strip_prefix("btime "))?;
    line.trim().parse().ok()
}

/// A value of /proc/pid/status, which has them in kibibytes.
fn bytes_of(status: &str, name: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    let kibibytes: f64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kibibytes * 1024.0)
}

/// The directory itself is open while it is read and is not counted.
fn open_files() -> Option<f64> {
    let open = fs::read_dir("/proc/self/fd").ok()?.count();
    Some(open.saturating_sub(1) as f64)
}

/// The soft limit in /proc/pid/limits.
fn most_files(limits: &str) -> Option<f64> {
    let line = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

fn counter(
    encoder: &mut DescriptorEncoder<'_>,
    metric: &Metric,
    value: Option<f64>,
) -> fmt::Result {
    match value {
        Some(value) => describe(encoder, metric, &ConstCounter::new(value)),
        None => Ok(()),
    }
}

fn gauge(encoder: &mut DescriptorEncoder<'_>, metric: &Metric, value: Option<f64>) -> fmt::Result {
    match value {
        Some(value) => describe(encoder, metric, &ConstGauge::new(value)),
        None => Ok(()),
    }
}

fn describe(
    encoder: &mut DescriptorEncoder<'_>,
    metric: &Metric,
    value: &impl EncodeMetric,
) -> fmt::Result {
    let unit = metric.unit().map(|unit| Unit::Other(unit.to_owned()));
    let described = encoder.encode_descriptor(
        metric.stem(),
        &format!("{}.", metric.help),
        unit.as_ref(),
        value.metric_type(),
    )?;
    value.encode(described)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A name with a blank and a bracket, as proc_pid_stat(5) warns of.
    const STAT: &str = "7 (zone) meter) S 1 7 7 0 -1 4194560 100 0 0 0 250 50 0 0 20 0 4 0 12345 \
                        99999744 512 18446744073709551615";

    #[test]
    fn fields_are_found_behind_an_awkward_name() {
        assert_eq!(cpu_seconds(STAT), Some(3.0));
        assert_eq!(ticks_from_boot_to_start(STAT), Some(12345.0));
    }

    #[test]
    fn files_of_proc_are_read() {
        assert_eq!(
            boot_time("cpu 1 2\nbtime 1700000000\n"),
            Some(1_700_000_000.0)
        );
        assert_eq!(
            bytes_of("VmSize:\t    2048 kB\nVmRSS:\t    512 kB\n", "VmRSS:"),
            Some(524_288.0)
        );
        let limits = "Max processes   1  2  processes\nMax open files            1024                 524288               files\n";
        assert_eq!(most_files(limits), Some(1024.0));
        assert_eq!(
            most_files("Max open files   unlimited   unlimited   files"),
            None
        );
    }

    #[test]
    fn this_process_has_all_of_them() {
        assert!(
            read("/proc/self/stat")
                .as_deref()
                .and_then(cpu_seconds)
                .is_some()
        );
        let status = read("/proc/self/status").unwrap();
        let [resident, size] = ["VmRSS:", "VmSize:"].map(|name| bytes_of(&status, name).unwrap());
        assert!(0.0 < resident && resident <= size);
        assert!(open_files().unwrap() >= 3.0);
    }
}

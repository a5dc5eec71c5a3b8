//! The same questions to a `VictoriaMetrics`, which evaluates them by code of its own.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use zonemeter_lab::{http_get, until};

use super::{PATIENCE, Running, Served, conversations, free, history, is_answered};

/// One with the samples of these files; as it comes, but for how long it keeps them.
fn start(folder: &Path, files: &[PathBuf]) -> (Running, String) {
    let program = env::var_os("VICTORIA_METRICS")
        .expect("VICTORIA_METRICS has to name the executable victoria-metrics");
    let (address, data) = (free(), folder.join("victoria"));
    let mut command = Command::new(program);
    command
        .arg(format!("-storageDataPath={}", data.display()))
        .arg(format!("-httpListenAddr={address}"))
        .arg("-retentionPeriod=3")
        .stderr(Stdio::null());
    let running = Running::start(&mut command);
    let url = format!("http://{address}");
    until(PATIENCE, "VictoriaMetrics", || {
        http_get(address, "/health").ok()
    })
    .unwrap();
    for file in files {
        let sent = Command::new("curl")
            .args(["--silent", "--show-error", "--fail", "--upload-file"])
            .arg(file)
            .args(["--request", "POST"])
            .arg(format!("{url}/api/v1/import/prometheus"))
            .status()
            .unwrap();
        assert!(sent.success(), "{}", file.display());
    }
    http_get(address, "/internal/force_flush").unwrap();
    (running, url)
}

#[test]
#[ignore = "takes a VictoriaMetrics, which VICTORIA_METRICS names"]
fn victoria_metrics_answers_as_prometheus_does() {
    let folder = tempfile::tempdir().unwrap();
    let (all, now) = (conversations(), history::now());
    let files = history::write(folder.path(), &all, now);
    let (_store, url) = start(folder.path(), &files);
    files.iter().for_each(|file| fs::remove_file(file).unwrap());
    let served = Served::start(&url, &[]);
    println!("{:?}", is_answered(&url, &served, &all, now));
}

//! The same questions to a `VictoriaMetrics`, which evaluates them by code of its own.

use std::{
    env, fs,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use zonemeter_lab::{http_get, until};

use super::{PATIENCE, Served, conversations, history, is_answered};

struct Store {
    child: Child,
    url: String,
}

impl Store {
    /// With the samples of these files; as it comes, but for how long it keeps them.
    fn start(folder: &Path, files: &[PathBuf]) -> Self {
        let program = env::var_os("VICTORIA_METRICS")
            .expect("VICTORIA_METRICS has to name the executable victoria-metrics");
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address: SocketAddr = free.local_addr().unwrap();
        drop(free);
        let child = Command::new(program)
            .arg(format!(
                "-storageDataPath={}",
                folder.join("victoria").display()
            ))
            .arg(format!("-httpListenAddr={address}"))
            .arg("-retentionPeriod=3")
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let url = format!("http://{address}");
        let store = Self { child, url };
        until(PATIENCE, "VictoriaMetrics", || {
            http_get(address, "/health").ok()
        })
        .unwrap();
        for file in files {
            let sent = Command::new("curl")
                .args(["--silent", "--show-error", "--fail", "--upload-file"])
                .arg(file)
                .args(["--request", "POST"])
                .arg(format!("{}/api/v1/import/prometheus", store.url))
                .status()
                .unwrap();
            assert!(sent.success(), "{}", file.display());
        }
        http_get(address, "/internal/force_flush").unwrap();
        store
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
#[ignore = "takes a VictoriaMetrics, which VICTORIA_METRICS names"]
fn victoria_metrics_answers_as_prometheus_does() {
    let folder = tempfile::tempdir().unwrap();
    let (all, now) = (conversations(), history::now());
    let files = history::write(folder.path(), &all, now);
    let store = Store::start(folder.path(), &files);
    files.iter().for_each(|file| fs::remove_file(file).unwrap());
    let served = Served::start(&store.url);
    println!("{:?}", is_answered(&store.url, &served, &all, now));
}

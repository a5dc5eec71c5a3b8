//! The same questions to a Thanos, which looks at the blocks of a Prometheus by its sidecar.

use std::{
    env,
    process::{Command, Stdio},
};

use zonemeter_lab::{http_get, until};

use super::{PATIENCE, Running, Served, conversations, filled, free, history, is_answered};

#[test]
#[ignore = "takes a Thanos, which THANOS names"]
fn thanos_answers_as_prometheus_does() {
    let program = env::var_os("THANOS").expect("THANOS has to name the executable thanos");
    let folder = tempfile::tempdir().unwrap();
    let (all, now) = (conversations(), history::now());
    let prometheus = filled(folder.path(), &all, now);
    let start = |part: &str, listens: [&str; 2], reads: [String; 2]| {
        let mut command = Command::new(&program);
        command
            .arg(part)
            .args(reads)
            .args(listens)
            .stderr(Stdio::null());
        Running::start(&mut command)
    };
    let [series, query] = [free(), free()];
    let [of_sidecar, of_query] = [series, query].map(|address| format!("--http-address={address}"));
    let ports = [free(), free()].map(|address| format!("--grpc-address={address}"));
    let _sidecar = start(
        "sidecar",
        [&of_sidecar, &ports[0]],
        [
            format!("--prometheus.url={}", prometheus.url()),
            format!("--tsdb.path={}", folder.path().join("data").display()),
        ],
    );
    let endpoint = ports[0].replace("--grpc-address=", "--endpoint=");
    let _query = start(
        "query",
        [&of_query, &ports[1]],
        [endpoint, "--log.level=warn".to_owned()],
    );
    let url = format!("http://{query}");
    until(PATIENCE, "Thanos to have the series", || {
        let names = http_get(query, "/api/v1/label/__name__/values").ok()?;
        names.body.contains("zonemeter").then_some(())
    })
    .unwrap();
    let served = Served::start(&url, &[]);
    println!("{:?}", is_answered(&url, &served, &all, now));
}

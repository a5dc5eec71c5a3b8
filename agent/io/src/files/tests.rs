use std::{os::unix::net::UnixListener, process::Command, sync::mpsc, time::Instant};

use super::*;

fn refusal(path: &Path) -> String {
    let began = Instant::now();
    let error = open(path).unwrap_err();
    assert!(began.elapsed() < Duration::from_secs(5), "it waited");
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    error.to_string()
}

#[test]
fn only_regular_files_are_opened_and_nothing_waits() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let made = Command::new("mkfifo").arg(at("pipe")).status().unwrap();
    assert!(made.success());
    let _socket = UnixListener::bind(at("socket")).unwrap();
    std::os::unix::fs::symlink("pipe", at("link")).unwrap();
    for (path, kind) in [
        (at("pipe"), "a named pipe"),
        (at("link"), "a named pipe"),
        (at("socket"), "a socket"),
        (folder.path().to_owned(), "a directory"),
        ("/dev/zero".into(), "a device"),
    ] {
        let said = refusal(&path);
        let expected = format!("not a regular file: it is {kind}; put a file in its place");
        assert_eq!(said, expected, "{}", path.display());
    }
    fs::write(at("file"), "text").unwrap();
    assert_eq!(read(&at("file"), 4).unwrap(), "text");
}

#[test]
fn a_file_that_is_too_long_is_not_read_to_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    File::create(&path).unwrap().set_len(1 << 40).unwrap();
    let error = read(&path, 1 << 20).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::FileTooLarge);
    let said = "it has more than 1 MiB: name the right file";
    assert_eq!(error.to_string(), said);
}

#[tokio::test]
async fn what_does_not_answer_is_left_to_itself_and_a_few_times_only() {
    let apart = ReaderThread::default();
    let short = Duration::from_millis(10);
    let mut stuck = Vec::new();
    for _ in 0..MOST_STUCK {
        let (release, released) = mpsc::channel::<()>();
        stuck.push(release);
        // It ends with an error when `release` is dropped.
        let ended = apart.run(short, move || released.recv()).await;
        assert_eq!(ended.unwrap_err().kind(), ErrorKind::TimedOut);
    }
    let ended = apart.run(READ_WITHIN, || 1).await;
    assert!(ended.unwrap_err().to_string().contains("are stuck"));
    drop(stuck);
    let deadline = Instant::now() + Duration::from_secs(20);
    while Arc::strong_count(&apart.running) > 1 {
        assert!(Instant::now() < deadline, "the threads do not end");
        tokio::time::sleep(short).await;
    }
    assert_eq!(apart.run(READ_WITHIN, || 2).await.unwrap(), 2);
}

use std::{fs, os::unix::fs::symlink, process::Command};

use super::*;

const TICK: Duration = Duration::from_millis(10);
const DEADLINE: Duration = Duration::from_secs(20);

fn follow(path: &Path) -> Reread {
    Reread::new(path, 1 << 10).every(TICK)
}

async fn next(reread: &mut Reread) -> Result<String, io::ErrorKind> {
    let changed = tokio::time::timeout(DEADLINE, reread.changed())
        .await
        .unwrap();
    changed
        .map(|file| io::read_to_string(file).unwrap())
        .map_err(|error| error.kind())
}

/// That nothing comes within so many looks.
async fn nothing_within(reread: &mut Reread, looks: u32) {
    assert!(
        tokio::time::timeout(TICK * looks, reread.changed())
            .await
            .is_err()
    );
}

#[tokio::test]
async fn sees_edits_renames_and_absence() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    let mut reread = follow(&path);
    assert_eq!(next(&mut reread).await, Err(io::ErrorKind::NotFound));
    fs::write(&path, "one").unwrap();
    assert_eq!(next(&mut reread).await, Ok("one".into()));
    fs::write(&path, "two").unwrap();
    assert_eq!(next(&mut reread).await, Ok("two".into()));
    fs::write(folder.path().join("next"), "six").unwrap();
    fs::rename(folder.path().join("next"), &path).unwrap();
    assert_eq!(next(&mut reread).await, Ok("six".into()));
    fs::remove_file(&path).unwrap();
    assert_eq!(next(&mut reread).await, Err(io::ErrorKind::NotFound));
    fs::write(&path, "six").unwrap();
    assert_eq!(next(&mut reread).await, Ok("six".into()));
}

#[tokio::test]
async fn sees_a_config_map_swap() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let version = |name: &str, content: &str| {
        fs::create_dir(at(name)).unwrap();
        fs::write(at(name).join("file"), content).unwrap();
        symlink(name, at("..data_tmp")).unwrap();
        fs::rename(at("..data_tmp"), at("..data")).unwrap();
    };
    version("..2026_1", "one");
    symlink("..data/file", at("file")).unwrap();
    let mut reread = follow(&at("file"));
    assert_eq!(next(&mut reread).await, Ok("one".into()));
    version("..2026_2", "two");
    assert_eq!(next(&mut reread).await, Ok("two".into()));
}

#[tokio::test]
async fn the_same_content_is_no_change() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    fs::write(&path, "one").unwrap();
    let mut reread = follow(&path);
    assert_eq!(next(&mut reread).await, Ok("one".into()));
    fs::write(&path, "one").unwrap();
    nothing_within(&mut reread, 20).await;
}

#[tokio::test]
async fn an_error_is_told_once() {
    let folder = tempfile::tempdir().unwrap();
    let mut reread = follow(folder.path());
    assert_eq!(next(&mut reread).await, Err(io::ErrorKind::InvalidInput));
    nothing_within(&mut reread, 20).await;
}

/// An edit that leaves size and timestamps as they were, which a look at the metadata misses.
#[tokio::test]
async fn a_fresh_file_is_read_again_whatever_its_metadata_say() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    fs::write(&path, "one").unwrap();
    let mut reread = follow(&path);
    assert_eq!(next(&mut reread).await, Ok("one".into()));
    assert!(matches!(reread.last, Last::Content { stamp: None, .. }));
}

#[tokio::test]
async fn a_settled_file_is_not_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    fs::write(&path, "one").unwrap();
    let long_ago = SystemTime::now() - Duration::from_secs(60);
    fs::File::options()
        .write(true)
        .open(&path)
        .unwrap()
        .set_modified(long_ago)
        .unwrap();
    let mut reread = follow(&path);
    assert_eq!(next(&mut reread).await, Ok("one".into()));
    let stamp = stamp(&fs::metadata(&path).unwrap());
    assert!(matches!(reread.last, Last::Content { stamp: Some(known), .. } if known == stamp));
    fs::write(&path, "two").unwrap();
    assert_eq!(next(&mut reread).await, Ok("two".into()));
}

/// With a writer that never writes: whoever reads it waits.
#[tokio::test]
async fn a_pipe_is_refused_and_a_file_in_its_place_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    let made = Command::new("mkfifo").arg(&path).status().unwrap();
    assert!(made.success());
    let _writer = fs::File::options().read(true).write(true).open(&path);
    let mut reread = follow(&path);
    assert_eq!(next(&mut reread).await, Err(io::ErrorKind::InvalidInput));
    nothing_within(&mut reread, 20).await;
    fs::write(folder.path().join("next"), "one").unwrap();
    fs::rename(folder.path().join("next"), &path).unwrap();
    assert_eq!(next(&mut reread).await, Ok("one".into()));
}

#[tokio::test]
async fn more_bytes_than_allowed_are_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    fs::write(&path, vec![b'x'; (1 << 10) + 1]).unwrap();
    let mut reread = follow(&path);
    assert_eq!(next(&mut reread).await, Err(io::ErrorKind::FileTooLarge));
    fs::write(&path, vec![b'x'; 1 << 10]).unwrap();
    assert_eq!(next(&mut reread).await.unwrap().len(), 1 << 10);
}

#[tokio::test]
async fn what_was_not_read_to_its_end_comes_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    fs::write(&path, "one").unwrap();
    let mut reread = follow(&path);
    assert_eq!(next(&mut reread).await, Ok("one".into()));
    reread.unread();
    assert_eq!(next(&mut reread).await, Ok("one".into()));
}

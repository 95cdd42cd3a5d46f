//! The disk in memory keeps its own promises.

use super::*;

fn written(files: &ReplayFiles, path: &str, content: &[u8], sync: bool) {
    let mut file = files.create(Path::new(path)).unwrap();
    file.write_at(0, content).unwrap();
    if sync {
        file.sync().unwrap();
    }
}

fn content(files: &ReplayFiles, path: &str) -> Option<Vec<u8>> {
    files.read(Path::new(path), u64::MAX).ok()
}

#[test]
fn a_synced_file_without_a_synced_directory_has_no_name_after_a_crash() {
    let files = ReplayFiles::new();
    written(&files, "/a", b"one", true);
    assert_eq!(content(&files.after_crash(Survival::Lost), "/a"), None);
    assert_eq!(content(&files.after_crash(Survival::Kept), "/a").unwrap(), b"one");
    files.sync_dir(Path::new("/")).unwrap();
    assert_eq!(content(&files.after_crash(Survival::Lost), "/a").unwrap(), b"one");
}

#[test]
fn a_rename_without_a_synced_directory_is_undone_by_a_crash() {
    let files = ReplayFiles::new();
    written(&files, "/a", b"old", true);
    written(&files, "/b", b"new", true);
    files.sync_dir(Path::new("/")).unwrap();
    files.rename(Path::new("/b"), Path::new("/a")).unwrap();
    assert_eq!(content(&files, "/a").unwrap(), b"new");
    assert_eq!(content(&files.after_crash(Survival::Lost), "/a").unwrap(), b"old");
    files.sync_dir(Path::new("/")).unwrap();
    assert_eq!(content(&files.after_crash(Survival::Lost), "/a").unwrap(), b"new");
}

#[test]
fn unsynced_content_is_lost_and_a_failed_sync_loses_it_for_good() {
    let files = ReplayFiles::new();
    written(&files, "/a", b"x", false);
    files.sync_dir(Path::new("/")).unwrap();
    assert_eq!(content(&files.after_crash(Survival::Lost), "/a").unwrap(), b"");
    let next = files.operations() + 1;
    files.fail_during(next..next + 1);
    let mut file = files.open(Path::new("/a")).unwrap();
    assert!(file.sync().is_err());
    file.sync().unwrap();
    assert_eq!(content(&files.after_crash(Survival::Lost), "/a").unwrap(), [0]);
}

#[test]
fn space_runs_out_and_comes_back() {
    let files = ReplayFiles::new();
    files.limit_space(Some(4));
    let mut file = files.create(Path::new("/a")).unwrap();
    assert_eq!(
        file.write_at(0, b"12345").unwrap_err().kind(),
        io::ErrorKind::StorageFull
    );
    assert_eq!(content(&files, "/a").unwrap(), b"1234");
    file.write_at(0, b"abcd").unwrap();
    file.set_len(1).unwrap();
    file.write_at(1, b"xyz").unwrap();
}

#[test]
fn nothing_works_after_the_power_was_cut() {
    let files = ReplayFiles::new();
    files.crash_at(1);
    assert!(files.create(Path::new("/a")).is_err());
    assert!(files.list(Path::new("/")).is_err());
    assert!(content(&files.after_crash(Survival::Kept), "/a").is_some());
}

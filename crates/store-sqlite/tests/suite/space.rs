//! A disk that is full, really or by injection, and one that fails to flush.

use std::{
    io::Write as _,
    path::{Path, PathBuf},
    process::Command,
};

use chancery_sqlite_replay::{ReplayVfs, Survival};
use chancery_store::{Change, Store, StoreError};
use chancery_store_sqlite::{Options, SqliteStore};
use tempfile::TempDir;

use crate::{
    audit::checked_leaves,
    chapters::large,
    dump::{assert_sound, beside, close, dump},
    power::{fold, scratch},
    samples::*,
};

/// On a file system of 2 MiB where one may be mounted, with injected errors otherwise.
#[tokio::test]
async fn a_full_disk_is_survived() {
    match Mounted::new() {
        Some(mounted) => a_full_disk(mounted).await,
        None => a_full_disk(Injected::new()).await,
    }
}

#[tokio::test]
async fn an_injected_full_disk_is_survived() {
    a_full_disk(Injected::new()).await;
}

async fn a_full_disk(disk: impl FullDisk) {
    let options = disk.options();
    let store = options.open().await.unwrap();
    found(&store).await;
    let mut leaves = checked_leaves(&store).await;

    // It runs full while the center works.
    disk.limit();
    let mut number = 1000;
    let error = loop {
        number += 10;
        assert!(number < 20_000, "a disk without end");
        match store.commit(group(number)).await {
            Ok(outcomes) => assert_eq!(outcomes, [Ok(()), Ok(()), Ok(())]),
            Err(error) => break error,
        }
        leaves.extend(events(number));
    };
    assert!(matches!(error, StoreError::Full { .. }), "{error:?}");
    assert!(number > 1010, "full at once");
    for _ in 0..3 {
        // The same clean error each time, nothing of the group is there, and reading goes on.
        let error = store.commit(group(number)).await.unwrap_err();
        assert!(matches!(error, StoreError::Full { .. }), "{error:?}");
        assert_eq!(checked_leaves(&store).await, leaves);
        assert_eq!(store.act(act_id(number)).await.unwrap(), None);
        assert_eq!(
            store.act(act_id(number - 8)).await.unwrap(),
            Some(act(number - 8))
        );
    }

    // Space is freed, and the same group goes through, without a restart.
    disk.free();
    assert_eq!(
        store.commit(group(number)).await.unwrap(),
        [Ok(()), Ok(()), Ok(())]
    );
    leaves.extend(events(number));
    assert_eq!(checked_leaves(&store).await, leaves);
    store.close().await;
    let store = options.open().await.unwrap();
    assert_eq!(checked_leaves(&store).await, leaves);
    let mut connection = beside(disk.path(), None).await;
    assert_sound(&mut connection, "after a full disk").await;
    close(connection).await;
    store.close().await;
}

#[tokio::test]
async fn a_database_is_not_made_by_halves_on_a_full_disk() {
    match Mounted::new() {
        Some(mounted) => made_on_a_full_disk(mounted).await,
        None => made_on_a_full_disk(Injected::new()).await,
    }
    made_on_a_full_disk(Injected::new()).await;
}

async fn made_on_a_full_disk(disk: impl FullDisk) {
    disk.fill();
    let error = disk.options().open().await.unwrap_err();
    assert!(matches!(error, StoreError::Full { .. }), "{error:?}");
    disk.free();
    let store = disk.options().open().await.unwrap();
    found(&store).await;
    assert!(!checked_leaves(&store).await.is_empty());
    store.close().await;
}

#[tokio::test]
async fn no_space_at_any_write_of_a_commit_leaves_nothing_of_it() {
    let (directory, path) = scratch();
    let vfs = ReplayVfs::register(directory.path()).unwrap();
    let store = Options::new(&path).vfs(vfs.name()).open().await.unwrap();
    found(&store).await;
    let mut leaves = checked_leaves(&store).await;
    // Once on a log that goes on, once on one that begins anew.
    for number in [1000, 1010] {
        let mut failures = 0;
        loop {
            vfs.fill_after(failures);
            let outcome = store.commit(group(number)).await;
            if outcome.is_ok() {
                break;
            }
            failures += 1;
            let error = outcome.unwrap_err();
            assert!(
                matches!(error, StoreError::Full { .. }),
                "write {failures}: {error:?}"
            );
            // Read while it is full, and found again if the power fails as well.
            assert_eq!(checked_leaves(&store).await, leaves, "write {failures}");
            assert_eq!(store.act(act_id(number)).await.unwrap(), None);
            for survival in [Survival::Lost, Survival::Kept, Survival::Mixed(failures)] {
                assert_eq!(
                    leaves_after_a_power_cut(&vfs, survival).await,
                    leaves,
                    "{survival:?}"
                );
            }
            vfs.free();
        }
        vfs.free();
        assert!(failures > 5, "a commit of {failures} writes");
        leaves.extend(events(number));
        assert_eq!(checked_leaves(&store).await, leaves);
        assert_eq!(leaves_after_a_power_cut(&vfs, Survival::Lost).await, leaves);
        fold(&path, &vfs, "TRUNCATE").await;
    }
    store.close().await;
}

#[tokio::test]
async fn no_space_while_the_log_is_folded_loses_nothing() {
    let (directory, path) = scratch();
    let vfs = ReplayVfs::register(directory.path()).unwrap();
    let store = Options::new(&path).vfs(vfs.name()).open().await.unwrap();
    found(&store).await;
    store.commit(group(1000)).await.unwrap();
    let leaves = checked_leaves(&store).await;
    let mut failures = 0;
    loop {
        vfs.fill_after(failures);
        let mut connection = beside(&path, Some(vfs.name())).await;
        let folded = sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)")
            .execute(&mut connection)
            .await;
        close(connection).await;
        for survival in [Survival::Lost, Survival::Kept, Survival::Mixed(failures)] {
            assert_eq!(
                leaves_after_a_power_cut(&vfs, survival).await,
                leaves,
                "{survival:?}"
            );
        }
        vfs.free();
        assert_eq!(checked_leaves(&store).await, leaves);
        if folded.is_ok() {
            break;
        }
        failures += 1;
    }
    assert!(failures > 3, "folded in {failures} writes");
    store.close().await;
}

#[tokio::test]
async fn a_commit_that_could_not_be_flushed_is_not_acknowledged_and_the_next_one_is_durable() {
    let (directory, path) = scratch();
    let vfs = ReplayVfs::register(directory.path()).unwrap();
    let store = Options::new(&path).vfs(vfs.name()).open().await.unwrap();
    found(&store).await;
    let mut leaves = checked_leaves(&store).await;
    for number in [1000, 1010, 1020] {
        vfs.fail_syncs(true);
        let error = store.commit(group(number)).await.unwrap_err();
        assert!(matches!(error, StoreError::Database { .. }), "{error:?}");
        assert_eq!(checked_leaves(&store).await, leaves);
        // Nobody knows whether it reached the disk: whoever starts anew now finds it wholly or not at all.
        assert_eq!(leaves_after_a_power_cut(&vfs, Survival::Lost).await, leaves);
        let found = leaves_after_a_power_cut(&vfs, Survival::Kept).await;
        let (before, more) = found.split_at(leaves.len());
        assert_eq!(before, leaves);
        assert!(more.is_empty() || more == events(number), "{more:?}");
        vfs.fail_syncs(false);
        // What the failed flush lost is lost; the group is written anew.
        assert_eq!(
            store.commit(group(number)).await.unwrap(),
            [Ok(()), Ok(()), Ok(())]
        );
        leaves.extend(events(number));
        assert_eq!(checked_leaves(&store).await, leaves);
        assert_eq!(leaves_after_a_power_cut(&vfs, Survival::Lost).await, leaves);
    }
    store.close().await;
}

/// The audit log that is found after the power is cut now, in a sound database.
async fn leaves_after_a_power_cut(vfs: &ReplayVfs, survival: Survival) -> Vec<Vec<u8>> {
    let (directory, path) = scratch();
    let disk = vfs.recording().unwrap().disk();
    disk.survivors(survival).write_to(directory.path()).unwrap();
    let store = SqliteStore::open(&path).await.unwrap();
    let mut connection = beside(&path, None).await;
    assert_sound(&mut connection, &format!("{survival:?}")).await;
    assert!(!dump(&mut connection).await.is_empty());
    close(connection).await;
    let leaves = checked_leaves(&store).await;
    store.close().await;
    leaves
}

/// Three changes of several pages.
fn group(number: u64) -> Vec<Change> {
    (number..number + 3).map(large).collect()
}

fn events(number: u64) -> Vec<Vec<u8>> {
    group(number)
        .into_iter()
        .flat_map(|change| change.events)
        .collect()
}

/// A place for a database that can run out of space.
trait FullDisk {
    fn options(&self) -> Options;
    fn path(&self) -> &Path;
    /// Lets it run full soon.
    fn limit(&self);
    /// Leaves no space at all.
    fn fill(&self);
    /// Gives space back.
    fn free(&self);
}

/// A file system of 2 MiB in memory.
struct Mounted {
    directory: TempDir,
    path: PathBuf,
}

impl Mounted {
    /// `None` when this user, or this machine, may not mount.
    fn new() -> Option<Self> {
        let directory = tempfile::tempdir().unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=2m", "tmpfs"])
            .arg(directory.path())
            .output()
            .is_ok_and(|output| output.status.success());
        let path = directory.path().join("store.db");
        mounted.then_some(Self { directory, path })
    }

    fn ballast(&self) -> PathBuf {
        self.directory.path().join("ballast")
    }
}

impl FullDisk for Mounted {
    fn options(&self) -> Options {
        Options::new(&self.path)
    }

    fn path(&self) -> &Path {
        &self.path
    }

    fn limit(&self) {
        std::fs::write(self.ballast(), [1; 512 * 1024]).unwrap();
    }

    fn fill(&self) {
        let mut ballast = std::fs::File::create(self.ballast()).unwrap();
        let full = (0..10_000).find_map(|_| ballast.write_all(&[1; 4096]).err());
        assert_eq!(full.unwrap().kind(), std::io::ErrorKind::StorageFull);
    }

    fn free(&self) {
        std::fs::remove_file(self.ballast()).unwrap();
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        // A failed test may have left a database open: then it goes as soon as that is closed.
        for how in [&[][..], &["--lazy"]] {
            let gone = Command::new("umount")
                .args(how)
                .arg(self.directory.path())
                .output()
                .is_ok_and(|output| output.status.success());
            if gone {
                return;
            }
        }
    }
}

/// A layer that reports a full disk.
struct Injected {
    vfs: ReplayVfs,
    path: PathBuf,
    _directory: TempDir,
}

impl Injected {
    fn new() -> Self {
        let (directory, path) = scratch();
        Self {
            vfs: ReplayVfs::register(directory.path()).unwrap(),
            path,
            _directory: directory,
        }
    }
}

impl FullDisk for Injected {
    fn options(&self) -> Options {
        Options::new(&self.path).vfs(self.vfs.name())
    }

    fn path(&self) -> &Path {
        &self.path
    }

    fn limit(&self) {
        self.vfs.fill_after(200);
    }

    fn fill(&self) {
        self.vfs.fill_after(0);
    }

    fn free(&self) {
        self.vfs.free();
    }
}

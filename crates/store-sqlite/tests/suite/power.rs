//! Power cuts: at any moment, with any luck, what was acknowledged is there and nothing is there by halves.

use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash, Hasher},
    path::{Path, PathBuf},
};

use chancery_sqlite_replay::{Disk, Operation, Recording, ReplayVfs, Survival, Survivors};
use chancery_store_sqlite::{Options, SqliteStore};
use sqlx::{
    AssertSqlSafe, ConnectOptions, Connection, sqlite::SqliteConnectOptions, sqlite::SqliteSynchronous,
};
use tempfile::TempDir;

use crate::{
    audit::checked_leaves,
    chapters::{Chapter, chapters, epilogue, tell},
    dump::{assert_sound, beside, close, dump},
};

#[tokio::test]
async fn what_was_acknowledged_survives_a_power_cut_at_any_operation() {
    let told = Told::new().await;
    let operations = told.recording.operations();
    let mut checked = Checked::default();
    let mut disk = Disk::default();
    for cut in 0..=operations.len() {
        if let Some(last) = cut.checked_sub(1) {
            disk.apply(&operations[last]);
        }
        // At every operation: mostly it leaves the same files as at the one before, which are looked at once.
        told.check(&disk, cut, Survival::Lost, &mut checked).await;
        // Where something became durable or a name changed, and at places between.
        if told.is_turning_point(cut) || cut % told.sparse() == 0 {
            told.check(&disk, cut, Survival::Kept, &mut checked).await;
            for seed in 0..2 {
                let survival = Survival::Mixed(seed + 1000 * u64::try_from(cut).unwrap());
                told.check(&disk, cut, survival, &mut checked).await;
            }
        }
    }
    // The test is worth something only if there were many different ruins, of all kinds.
    assert!(checked.states.len() > 250, "{}", checked.states.len());
    assert!(checked.begun_and_there > 10, "{}", checked.begun_and_there);
    assert!(checked.begun_and_lost > 100, "{}", checked.begun_and_lost);
}

/// The control: this disk does lose what nobody synced, so the test above can fail.
#[tokio::test]
async fn without_syncing_a_power_cut_loses_what_was_acknowledged() {
    for (synchronous, survives) in [(SqliteSynchronous::Off, false), (SqliteSynchronous::Full, true)] {
        let (directory, path) = scratch();
        let vfs = ReplayVfs::register(directory.path()).unwrap();
        let store = Options::new(&path).vfs(vfs.name()).open().await.unwrap();
        let mut connection = SqliteConnectOptions::new()
            .filename(&path)
            .vfs(vfs.name().to_owned())
            .synchronous(synchronous)
            .connect()
            .await
            .unwrap();
        sqlx::raw_sql("INSERT INTO node_start (epoch, started_ms) VALUES (77, 1)")
            .execute(&mut connection)
            .await
            .unwrap();
        let disk = vfs.recording().unwrap().disk();
        for (survival, expected) in [(Survival::Lost, survives), (Survival::Kept, true)] {
            let (directory, path) = scratch();
            disk.survivors(survival).write_to(directory.path()).unwrap();
            let mut connection = beside(&path, None).await;
            let there: i64 = sqlx::query_scalar("SELECT count(*) FROM node_start WHERE epoch = 77")
                .fetch_one(&mut connection)
                .await
                .unwrap();
            assert_eq!(there == 1, expected, "{synchronous:?} {survival:?}");
            close(connection).await;
        }
        close(connection).await;
        store.close().await;
    }
}

/// A story, recorded from before the database was there.
struct Told {
    recording: Recording,
    /// For each chapter that changes something: operations before it, and when it was acknowledged.
    spans: Vec<(usize, usize)>,
    /// What the database says: when opened, and after each such chapter.
    states: Vec<String>,
    chapters: Vec<Chapter>,
}

#[derive(Default)]
struct Checked {
    /// Which state was found, by the hash of the files.
    states: HashMap<u64, usize>,
    begun_and_there: usize,
    begun_and_lost: usize,
}

impl Told {
    async fn new() -> Self {
        let (directory, path) = scratch();
        let vfs = ReplayVfs::register(directory.path()).unwrap();
        let options = Options::new(&path).vfs(vfs.name());
        let mut store = options.open().await.unwrap();
        let mut states = vec![state(&path, &vfs).await];
        let (mut spans, mut told) = (Vec::new(), Vec::new());
        for chapter in chapters() {
            let begun = vfs.operations();
            tell(&store, &chapter).await;
            match chapter {
                Chapter::Fold(how) => fold(&path, &vfs, how).await,
                Chapter::Reopen => {
                    store.close().await;
                    store = options.open().await.unwrap();
                }
                Chapter::Group(_) | Chapter::Epoch(_) => {
                    spans.push((begun, vfs.operations()));
                    let state = state(&path, &vfs).await;
                    assert_ne!(states.last(), Some(&state));
                    states.push(state);
                    told.push(chapter);
                }
            }
        }
        store.close().await;
        Self {
            recording: vfs.recording().unwrap(),
            spans,
            states,
            chapters: told,
        }
    }

    /// Whether the operation before this cut or the one after it was anything but a write.
    fn is_turning_point(&self, cut: usize) -> bool {
        let operations = self.recording.operations();
        [cut.checked_sub(1), Some(cut)]
            .into_iter()
            .flatten()
            .filter_map(|index| operations.get(index))
            .any(|operation| !matches!(operation, Operation::Write { .. }))
    }

    /// So that some eighty cuts are looked at besides the turning points, however long the record is.
    fn sparse(&self) -> usize {
        (self.recording.operations().len() / 80).max(1)
    }

    /// Opens what the power cut left, and compares it with what it may be.
    async fn check(&self, disk: &Disk, cut: usize, survival: Survival, checked: &mut Checked) {
        let context = format!("cut after operation {cut}, {survival:?}");
        let survivors = disk.survivors(survival);
        let mut hasher = DefaultHasher::new();
        survivors.hash(&mut hasher);
        let found = match checked.states.get(&hasher.finish()) {
            Some(found) => *found,
            None => {
                let found = self.found(&survivors, survival, &context).await;
                checked.states.insert(hasher.finish(), found);
                found
            }
        };
        let acknowledged = self.spans.iter().filter(|(_, end)| *end <= cut).count();
        let begun = self.spans.iter().filter(|(begin, _)| *begin < cut).count();
        assert!(
            (acknowledged..=begun).contains(&found),
            "{context}: chapters 1 to {acknowledged} were acknowledged and 1 to {begun} begun, 1 to {found} are there"
        );
        if begun > acknowledged {
            *(if found == begun {
                &mut checked.begun_and_there
            } else {
                &mut checked.begun_and_lost
            }) += 1;
        }
    }

    /// The number of the state that the survivors are in, after checking that they are sound and can be worked with.
    async fn found(&self, survivors: &Survivors, survival: Survival, context: &str) -> usize {
        let (directory, path) = scratch();
        survivors.write_to(directory.path()).unwrap();
        if matches!(survival, Survival::Mixed(_)) {
            // An index of the log from before the power cut, which is never to be believed.
            std::fs::write(directory.path().join("store.db-shm"), [0x5a; 32 * 1024]).unwrap();
        }
        let store = SqliteStore::open(&path)
            .await
            .unwrap_or_else(|error| panic!("{context}: {error:?}"));
        let mut connection = beside(&path, None).await;
        assert_sound(&mut connection, context).await;
        let state = dump(&mut connection).await;
        let Some(found) = self.states.iter().position(|known| *known == state) else {
            panic!("{context}: something is there by halves:\n{state}");
        };
        checked_leaves(&store).await;
        // Life goes on where it stopped.
        let epilogue = epilogue();
        tell(&store, self.chapters.get(found).unwrap_or(&epilogue)).await;
        let next = dump(&mut connection).await;
        match self.states.get(found + 1) {
            Some(expected) => assert!(*expected == next, "{context}: the next chapter went otherwise"),
            None => assert_ne!(next, state, "{context}"),
        }
        checked_leaves(&store).await;
        assert_sound(&mut connection, context).await;
        close(connection).await;
        store.close().await;
        found
    }
}

/// What the database says, read through the layer so that nothing goes unrecorded.
async fn state(path: &Path, vfs: &ReplayVfs) -> String {
    let mut connection = beside(path, Some(vfs.name())).await;
    let state = dump(&mut connection).await;
    connection.close().await.unwrap();
    state
}

/// Folds the log into the database.
pub(crate) async fn fold(path: &Path, vfs: &ReplayVfs, how: &str) {
    let mut connection = beside(path, Some(vfs.name())).await;
    let busy: i64 = sqlx::query_scalar(AssertSqlSafe(format!("PRAGMA wal_checkpoint({how})")))
        .fetch_one(&mut connection)
        .await
        .unwrap();
    assert_eq!(busy, 0);
    connection.close().await.unwrap();
}

/// A directory for a database and the database's path, in memory when there is such a place: real flushing would only
/// cost time here.
pub(crate) fn scratch() -> (TempDir, PathBuf) {
    let memory = Path::new("/dev/shm");
    let directory = if memory.is_dir() {
        tempfile::tempdir_in(memory)
    } else {
        tempfile::tempdir()
    };
    let directory = directory.unwrap();
    let path = directory.path().join("store.db");
    (directory, path)
}

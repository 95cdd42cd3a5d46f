//! Opening a database file.

use std::{
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    time::Duration,
};

use chancery_audit::Frontier;
use chancery_store::StoreError;
use sqlx::{
    migrate::{Migrate, MigrateError, Migrator},
    pool::PoolOptions,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous},
};

use crate::{
    database::{Connection, Pool, Questions, Writer},
    kept::Kept,
    sql,
};

/// A SQLite database of one installation.
///
/// Dropping it leaves everything acknowledged in the file; [`SqliteStore::close`] also folds the write-ahead
/// log into it.
#[derive(Debug, Clone)]
pub struct SqliteStore {
    writer: Kept<Option<Frontier>>,
    questions: Kept<()>,
    reader: Pool,
}

/// Where the database is and how large it may become.
#[derive(Debug, Clone)]
pub struct Options {
    path: PathBuf,
    max_pages: Option<u32>,
    vfs: Option<String>,
}

impl Options {
    /// A database at this path, of any size.
    #[must_use]
    pub fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            max_pages: None,
            vfs: None,
        }
    }

    /// Lets the file grow to this many pages of 4096 bytes; a change that needs more fails as if the disk
    /// were full.
    #[must_use]
    pub const fn max_pages(mut self, pages: u32) -> Self {
        self.max_pages = Some(pages);
        self
    }

    /// Reaches the files through the file system layer that is registered with SQLite under this name (its "VFS"),
    /// instead of SQLite's own. A layer with faults shows what a power cut or a full disk does.
    #[must_use]
    pub fn vfs(mut self, name: impl Into<String>) -> Self {
        self.vfs = Some(name.into());
        self
    }

    /// Opens the database; makes it when it is missing and brings its schema up to date.
    ///
    /// # Errors
    /// If the file cannot be made or used, was written by a newer program, or a migration fails.
    pub async fn open(&self) -> Result<SqliteStore, StoreError> {
        own_file(&self.path).await?;
        let writer = Kept::new(self.writer());
        let mut first: Writer<'_> = writer.take().await.map_err(sql::failed(OPENING))?;
        migrate(&mut first.connection).await?;
        first.keep();
        Ok(SqliteStore {
            writer,
            questions: Kept::new(self.reader()),
            reader: pool(READERS).connect_lazy_with(self.reader()),
        })
    }

    fn writer(&self) -> SqliteConnectOptions {
        let mut options = self
            .connect_options()
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            // Fewer, larger check points: each one flushes the database file as well as the log.
            .pragma("wal_autocheckpoint", "10000")
            // Room for the indices that a certificate touches anywhere, KiB; what a statement may have to undo stays in memory.
            .pragma("cache_size", "-16384")
            .pragma("temp_store", "MEMORY")
            .pragma("journal_size_limit", "67108864");
        if let Some(pages) = self.max_pages {
            options = options.pragma("max_page_count", pages.to_string());
        }
        options
    }

    fn reader(&self) -> SqliteConnectOptions {
        self.connect_options().pragma("query_only", "ON")
    }

    fn connect_options(&self) -> SqliteConnectOptions {
        let options = SqliteConnectOptions::new()
            .filename(&self.path)
            .create_if_missing(false)
            .foreign_keys(true)
            .busy_timeout(BUSY)
            .statement_cache_capacity(STATEMENTS);
        match &self.vfs {
            Some(vfs) => options.vfs(vfs.clone()),
            None => options,
        }
    }
}

impl SqliteStore {
    /// Opens the database at `path`, see [`Options::open`].
    ///
    /// # Errors
    /// As [`Options::open`].
    pub async fn open(path: &Path) -> Result<Self, StoreError> {
        Options::new(path).open().await
    }

    /// Waits for what is running and closes the file.
    pub async fn close(&self) {
        self.reader.close().await;
        self.questions.close().await;
        self.writer.close().await;
    }

    /// The connection that writes, when nobody else does.
    pub(crate) async fn writer(&self) -> Result<Writer<'_>, StoreError> {
        self.writer
            .take()
            .await
            .map_err(sql::failed("reaching the writing connection"))
    }

    /// The connection that answers what decisions ask.
    pub(crate) async fn questions(&self) -> Result<Questions<'_>, StoreError> {
        self.questions
            .take()
            .await
            .map_err(sql::failed("reaching a reading connection"))
    }

    pub(crate) const fn reader(&self) -> &Pool {
        &self.reader
    }
}

/// Makes the file when it is missing, so that nobody but its owner ever could read it. SQLite gives its log
/// the same mode.
async fn own_file(path: &Path) -> Result<(), StoreError> {
    let path = path.to_owned();
    let owned = tokio::task::spawn_blocking(move || {
        let file = std::fs::OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .mode(FILE_MODE)
            .open(&path)?;
        file.set_permissions(PermissionsExt::from_mode(FILE_MODE))?;
        // The entry in the directory must be as durable as what will be in the file.
        let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        std::fs::File::open(directory.unwrap_or_else(|| Path::new(".")))?.sync_all()
    });
    owned
        .await
        .map_err(std::io::Error::other)
        .and_then(std::convert::identity)
        .map_err(|source| match source.kind() {
            std::io::ErrorKind::StorageFull => StoreError::Full { doing: OPENING },
            _ => StoreError::Database {
                doing: OPENING,
                source: source.into(),
            },
        })
}

/// Brings the schema up to date, or refuses one this program does not know.
async fn migrate(connection: &mut Connection) -> Result<(), StoreError> {
    let failed = |source: MigrateError| match source {
        MigrateError::Execute(source) | MigrateError::ExecuteMigration(source, _) => {
            sql::failed(MIGRATING)(source)
        }
        source => StoreError::Database {
            doing: MIGRATING,
            source: source.into(),
        },
    };
    let known = MIGRATOR
        .iter()
        .map(|migration| migration.version)
        .max()
        .unwrap_or(0);
    connection
        .ensure_migrations_table(&MIGRATOR.table_name)
        .await
        .map_err(failed)?;
    let applied = connection
        .list_applied_migrations(&MIGRATOR.table_name)
        .await
        .map_err(failed)?;
    if let Some(found) = applied
        .iter()
        .map(|migration| migration.version)
        .max()
        .filter(|found| *found > known)
    {
        return Err(StoreError::UnknownSchema { found, known });
    }
    MIGRATOR.run_direct(None, connection, false).await.map_err(failed)
}

fn pool(connections: u32) -> PoolOptions<sqlx::Sqlite> {
    PoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(ACQUIRE)
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
}

static MIGRATOR: Migrator = sqlx::migrate!();

const OPENING: &str = "opening the database";
const MIGRATING: &str = "bringing the schema up to date";
const FILE_MODE: u32 = 0o600;
const READERS: u32 = 4;
/// How long a statement waits for a lock that another process holds, such as a backup.
const BUSY: Duration = Duration::from_secs(5);
/// How long a caller waits for a connection.
const ACQUIRE: Duration = Duration::from_secs(30);
/// More than there are statements in `src/sql`: each is prepared once a connection.
const STATEMENTS: usize = 128;

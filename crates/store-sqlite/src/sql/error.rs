//! From what the driver says to what the store's callers know.

use std::fmt::{self, Display};

use chancery_store::{Conflict, StoreError};
use sqlx::error::ErrorKind;

use crate::database::{QueryResult, is_full, violated};

/// Why a change was not made.
#[derive(Debug)]
pub(crate) enum WriteError {
    /// The change itself does not fit what is there: its group can go on without it.
    Conflict(Conflict),
    /// The database failed: the group is lost.
    Store(StoreError),
}

impl From<Conflict> for WriteError {
    fn from(conflict: Conflict) -> Self {
        Self::Conflict(conflict)
    }
}

impl From<StoreError> for WriteError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// A table's name and what is being done when it is used.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Table {
    pub(crate) name: &'static str,
    pub(crate) reading: &'static str,
    pub(crate) writing: &'static str,
}

/// A [`Table`] by its name.
macro_rules! table {
    ($name:literal) => {
        crate::sql::error::Table {
            name: $name,
            reading: concat!("reading table ", $name),
            writing: concat!("writing table ", $name),
        }
    };
}
pub(crate) use table;

impl Table {
    /// The row whose key is these bytes or this number, for naming it when it is corrupt.
    pub(crate) const fn row<'row>(self, key: Key<'row>) -> Row<'row> {
        Row {
            table: self.name,
            key,
        }
    }

    /// The answer to an INSERT: a violated constraint is a conflict.
    pub(crate) fn inserted(
        self,
        key: &dyn Display,
        result: Result<QueryResult, sqlx::Error>,
    ) -> Result<(), WriteError> {
        result.map(drop).map_err(|error| self.write_error(key, error))
    }

    /// The answer to an UPDATE that must have found exactly one row; `expected` says which.
    pub(crate) fn updated(
        self,
        key: &dyn Display,
        result: Result<QueryResult, sqlx::Error>,
        expected: &dyn Display,
    ) -> Result<(), WriteError> {
        match result
            .map_err(|error| self.write_error(key, error))?
            .rows_affected()
        {
            1 => Ok(()),
            _ => Err(self.conflict(key, expected.to_string()).into()),
        }
    }

    pub(crate) fn conflict(self, key: &dyn Display, detail: String) -> Conflict {
        Conflict {
            table: self.name,
            key: key.to_string(),
            detail,
        }
    }

    pub(crate) fn write_error(self, key: &dyn Display, error: sqlx::Error) -> WriteError {
        if let sqlx::Error::Database(database) = &error {
            let what = violated(&**database);
            let detail = match database.kind() {
                ErrorKind::UniqueViolation => Some(format!("another row has the same {what}")),
                ErrorKind::ForeignKeyViolation => Some("it refers to a row that is not there".to_owned()),
                ErrorKind::CheckViolation => Some(format!("the rule {what} does not allow it")),
                _ => None,
            };
            if let Some(detail) = detail {
                return self.conflict(key, detail).into();
            }
        }
        failed(self.writing)(error).into()
    }

    /// The answer to a SELECT that failed: a column of an unexpected type means a corrupt row.
    pub(crate) fn read_error(self, error: sqlx::Error) -> StoreError {
        match error {
            sqlx::Error::ColumnDecode { index, source } => StoreError::Corrupt {
                table: self.name,
                key: "unknown".to_owned(),
                detail: format!("column {index}: {source}"),
            },
            error => failed(self.reading)(error),
        }
    }
}

/// Makes the driver's error one of the store, saying what was being done.
pub(crate) fn failed(doing: &'static str) -> impl Fn(sqlx::Error) -> StoreError {
    move |source| match &source {
        sqlx::Error::Database(database) if is_full(&**database) => StoreError::Full { doing },
        _ => StoreError::Database {
            doing,
            source: source.into(),
        },
    }
}

/// A row that is being read, to be named when it does not parse.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row<'row> {
    table: &'static str,
    key: Key<'row>,
}

/// The key of a row.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Key<'row> {
    Id(&'row [u8]),
    Number(i64),
}

impl Row<'_> {
    /// The value of a column, or the row is corrupt.
    pub(crate) fn column<T>(self, name: &'static str, value: Option<T>) -> Result<T, StoreError> {
        value.ok_or_else(|| self.corrupt(format!("column {name} has a value that is none of its own")))
    }

    /// The values of two columns that are there together or not at all, or the row is corrupt.
    pub(crate) fn together<A, B>(
        self,
        names: &'static str,
        first: Option<A>,
        second: Option<B>,
    ) -> Result<Option<(A, B)>, StoreError> {
        match (first, second) {
            (Some(first), Some(second)) => Ok(Some((first, second))),
            (None, None) => Ok(None),
            _ => Err(self.corrupt(format!("columns {names} are not there together"))),
        }
    }

    pub(crate) fn corrupt(self, detail: String) -> StoreError {
        StoreError::Corrupt {
            table: self.table,
            key: self.key.to_string(),
            detail,
        }
    }
}

impl Display for Key<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Id(bytes) => match uuid::Uuid::from_slice(bytes) {
                Ok(id) => id.fmt(f),
                Err(_) => bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}")),
            },
        }
    }
}

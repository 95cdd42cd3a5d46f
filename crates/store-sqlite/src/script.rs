//! Several statements in one call to the database's thread. A call costs two switches between threads, which is more
//! than the work of most statements.
//!
//! A script's statements are literals, each checked by the compiler as [`sqlx::query!`] does; values are only ever bound.

use chancery_store::StoreError;
use futures::TryStreamExt as _;
use sqlx::{
    Arguments as _, AssertSqlSafe, Either, Encode, Executor as _, Sqlite, Type,
    error::BoxDynError,
    sqlite::{SqliteArguments, SqliteRow},
};

use crate::{
    database::Connection,
    sql::{Table, WriteError, failed},
};

/// Most statements a call: calls have few different shapes that way, and each is prepared once.
const MOST: usize = 16;

/// Statements, in order.
#[derive(Default)]
pub(crate) struct Script {
    calls: Vec<Call>,
}

#[derive(Default)]
struct Call {
    text: String,
    arguments: SqliteArguments,
    steps: Vec<Step>,
    encoding: Option<BoxDynError>,
}

/// What a statement is about, and how many rows it has to touch; any number when nothing is said.
#[derive(Clone, Copy)]
pub(crate) struct Step {
    pub(crate) table: Table,
    pub(crate) rows: Option<usize>,
}

impl Step {
    pub(crate) const fn touching(table: Table, rows: usize) -> Self {
        let rows = Some(rows);
        Self { table, rows }
    }

    pub(crate) const fn about(table: Table) -> Self {
        Self { table, rows: None }
    }
}

/// Rows a statement over several has.
pub(crate) const EIGHT: usize = 8;

/// Rows for one statement.
pub(crate) struct Eight<R> {
    /// The rows; places that are left over repeat the first.
    pub(crate) rows: [R; EIGHT],
    /// How many there are.
    pub(crate) count: usize,
}

impl Script {
    /// Adds a statement; its values are bound next, in their order. Use [`add!`] where there are values.
    pub(crate) fn statement(&mut self, step: Step, text: &'static str) {
        if self.calls.last().is_none_or(|call| call.steps.len() >= MOST) {
            self.calls.push(Call::default());
        }
        if let Some(call) = self.calls.last_mut() {
            call.text.push_str(text);
            call.text.push_str(";\n");
            call.steps.push(step);
        }
    }

    /// Binds the next value of the statement added last.
    pub(crate) fn bind<'q, V: Encode<'q, Sqlite> + Type<Sqlite>>(&mut self, value: V) {
        if let Some(call) = self.calls.last_mut()
            && let Err(error) = call.arguments.add(value)
        {
            call.encoding = Some(error);
        }
    }

    /// Whether each statement touched as many rows as it had to. What was done stays done: it is the caller's transaction.
    pub(crate) async fn write(self, connection: &mut Connection) -> Result<bool, WriteError> {
        for call in self.calls {
            if !call.write(connection).await? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The rows that each statement found.
    pub(crate) async fn read(self, connection: &mut Connection) -> Result<Vec<Vec<SqliteRow>>, StoreError> {
        let mut found = Vec::new();
        for call in self.calls {
            call.read(connection, &mut found).await?;
        }
        Ok(found)
    }
}

impl Call {
    async fn write(self, connection: &mut Connection) -> Result<bool, WriteError> {
        let mut steps = self.steps.iter();
        let mut step = steps.next();
        let doing = |step: Option<&Step>| step.map_or("writing", |step| step.table.writing);
        if let Some(error) = self.encoding {
            return Err(failed(doing(step))(sqlx::Error::Encode(error)).into());
        }
        let mut fits = true;
        let query = sqlx::query_with(AssertSqlSafe(self.text), self.arguments);
        let mut answers = connection.execute_many(query);
        loop {
            match (answers.try_next().await, step) {
                (Ok(Some(answer)), Some(done)) => {
                    let touched = usize::try_from(answer.rows_affected());
                    fits = fits && done.rows.is_none_or(|rows| touched == Ok(rows));
                    step = steps.next();
                }
                (Ok(None), None) => return Ok(fits),
                (Err(error), Some(doing)) => return Err(doing.table.write_error(&"one of a group", error)),
                (Err(error), None) => return Err(failed(doing(None))(error).into()),
                (Ok(_), _) => {
                    let error = sqlx::Error::Protocol("not as many answers as statements".to_owned());
                    return Err(failed(doing(step))(error).into());
                }
            }
        }
    }

    async fn read(
        self,
        connection: &mut Connection,
        found: &mut Vec<Vec<SqliteRow>>,
    ) -> Result<(), StoreError> {
        let mut steps = self.steps.iter();
        let doing = |step: Option<&Step>| step.map_or("reading", |step| step.table.reading);
        let mut step = steps.next();
        if let Some(error) = self.encoding {
            return Err(failed(doing(step))(sqlx::Error::Encode(error)));
        }
        let query = sqlx::query_with(AssertSqlSafe(self.text), self.arguments);
        let mut answers = connection.fetch_many(query);
        let mut rows = Vec::new();
        while let Some(answer) = answers.try_next().await.map_err(failed(doing(step)))? {
            match answer {
                Either::Right(row) => rows.push(row),
                Either::Left(_) => {
                    found.push(std::mem::take(&mut rows));
                    step = steps.next();
                }
            }
        }
        Ok(())
    }
}

/// Adds a statement with values to a [`Script`]. The compiler checks it against the schema; `as` names a struct that the
/// columns of its rows have to fit.
macro_rules! add {
    ($script:expr, $step:expr, $text:literal, $($value:expr),* $(,)?) => {{
        let _checked = || drop(sqlx::query!($text, $($value),*));
        $script.statement($step, $text);
        $($script.bind($value);)*
    }};
    ($script:expr, $step:expr, as $row:ty, $text:literal $(, $value:expr)* $(,)?) => {{
        let _checked = || drop(sqlx::query_as!($row, $text $(, $value)*));
        $script.statement($step, $text);
        $($script.bind($value);)*
    }};
}
pub(crate) use add;

/// Adds a statement over eight rows, or over one when there is but one, to a [`Script`]: its beginning, what stands for one row, its
/// end. Checked as in [`add!`].
macro_rules! add_eight {
    ($script:expr, $table:expr, $eight:expr, $head:literal, $one:literal, $tail:literal, |$row:ident| [$($value:expr),* $(,)?]) => {{
        let crate::script::Eight { rows, count } = &$eight;
        let [a, b, c, d, e, f, g, h] = rows;
        let _checked = || {
            drop(sqlx::query!(
                $head + $one + ", " + $one + ", " + $one + ", " + $one + ", " + $one + ", " + $one + ", " + $one + ", " + $one
                    + $tail,
                $({ let $row = a; $value },)*
                $({ let $row = b; $value },)*
                $({ let $row = c; $value },)*
                $({ let $row = d; $value },)*
                $({ let $row = e; $value },)*
                $({ let $row = f; $value },)*
                $({ let $row = g; $value },)*
                $({ let $row = h; $value },)*
            ));
            drop(sqlx::query!($head + $one + $tail, $({ let $row = a; $value },)*));
        };
        let step = crate::script::Step::touching($table, *count);
        let used = if *count == 1 {
            $script.statement(step, concat!($head, $one, $tail));
            1
        } else {
            $script.statement(
                step,
                concat!(
                    $head, $one, ", ", $one, ", ", $one, ", ", $one, ", ", $one, ", ", $one, ", ", $one, ", ", $one, $tail
                ),
            );
            crate::script::EIGHT
        };
        for $row in rows.iter().take(used) {
            $($script.bind($value);)*
        }
    }};
}
pub(crate) use add_eight;

//! The queue in one file: SQLite, for the processes of one machine.
//!
//! Write-ahead log, `synchronous = FULL`: what was committed survives `kill -9` and a power cut. The file must be on a local disk.

use super::{
    sql::{Access, Database, Dialect, Row, SqlStore, Transaction, Value, Work},
    store::StoreError,
};
use rusqlite::{
    params_from_iter,
    types::{ToSqlOutput, Value as Owned, ValueRef},
    Connection, ErrorCode, ToSql, TransactionBehavior,
};
use std::{
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::Duration,
};

/// How long a transaction waits for others.
const BUSY: Duration = Duration::from_secs(30);
/// Statements that stay prepared.
const STATEMENTS: usize = 64;

const DIALECT: Dialect = Dialect {
    number: "INTEGER PRIMARY KEY AUTOINCREMENT",
    bytes: "BLOB",
    skip_locked: "",
    lock_schema: "",
    has_schema: "SELECT name FROM sqlite_master WHERE type = 'table' AND name = 'schema_version'",
};

/// A store in a SQLite file.
pub type SqliteStore = SqlStore<Sqlite>;

/// A connection to a SQLite file.
#[derive(Debug)]
pub struct Sqlite {
    path: PathBuf,
    connection: Mutex<Connection>,
}

impl Sqlite {
    /// Opens a file, or makes it. Its schema is left as it is.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be read or written, or is no database.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let named = |e: rusqlite::Error| match error(&e) {
            StoreError::Refused(message) => StoreError::Refused(format!("{}: {message}", path.display())),
            other => other,
        };
        let connection = Connection::open(path).map_err(named)?;
        connection.busy_timeout(BUSY).map_err(named)?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS);
        connection.pragma_update(None, "journal_mode", "WAL").map_err(named)?;
        connection.pragma_update(None, "synchronous", "FULL").map_err(named)?;
        connection.pragma_update(None, "foreign_keys", "ON").map_err(named)?;
        Ok(Self { path: path.to_owned(), connection: Mutex::new(connection) })
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl SqliteStore {
    /// The store in a file, which is made when there is none.
    ///
    /// # Errors
    /// [`StoreError`] when the file cannot be used, or was written by a newer program.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        Self::new(Sqlite::open(path)?)
    }
}

fn error(error: &rusqlite::Error) -> StoreError {
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => StoreError::Unavailable(error.to_string()),
        _ => StoreError::Refused(error.to_string()),
    }
}

impl Database for Sqlite {
    fn dialect(&self) -> &Dialect {
        &DIALECT
    }

    fn transaction(&self, access: Access, work: Work<'_>) -> Result<(), StoreError> {
        let mut connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        let behavior = match access {
            Access::Read => TransactionBehavior::Deferred,
            Access::Write => TransactionBehavior::Immediate,
        };
        let mut transaction = connection.transaction_with_behavior(behavior).map_err(|e| error(&e))?;
        work(&mut transaction)?;
        transaction.commit().map_err(|e| error(&e))
    }
}

impl Transaction for rusqlite::Transaction<'_> {
    fn execute(&mut self, sql: &str, values: &[Value]) -> Result<u64, StoreError> {
        let mut statement = self.prepare_cached(sql).map_err(|e| error(&e))?;
        let changed = statement.execute(params_from_iter(values)).map_err(|e| error(&e))?;
        Ok(changed as u64)
    }

    fn query(&mut self, sql: &str, values: &[Value]) -> Result<Vec<Row>, StoreError> {
        let mut statement = self.prepare_cached(sql).map_err(|e| error(&e))?;
        let columns = statement.column_count();
        let row = |row: &rusqlite::Row<'_>| (0..columns).map(|i| Ok(value(row.get(i)?))).collect();
        let rows = statement.query_map(params_from_iter(values), row).map_err(|e| error(&e))?;
        rows.map(|row| row.map(Row::new).map_err(|e| error(&e))).collect()
    }

    fn batch(&mut self, sql: &str) -> Result<(), StoreError> {
        self.execute_batch(sql).map_err(|e| error(&e))
    }
}

fn value(value: Owned) -> Value {
    match value {
        Owned::Null => Value::Null,
        Owned::Integer(value) => Value::Int(value),
        Owned::Text(value) => Value::Text(value),
        Owned::Blob(value) => Value::Bytes(value),
        // There is no column of reals: it is refused where it is read.
        Owned::Real(value) => Value::Text(value.to_string()),
    }
}

impl ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Int(value) => ValueRef::Integer(*value),
            Self::Text(value) => ValueRef::Text(value.as_bytes()),
            Self::Bytes(value) => ValueRef::Blob(value),
        }))
    }
}

//! The queue of many machines: PostgreSQL.
//!
//! A connection that is cut is made again, and its transaction run again: [`super::sql`] is written so that this does no harm.
//! Without `sslmode` in the address, a server on this machine is spoken to in the clear and any other with TLS; its certificate must be one
//! that this machine trusts (`SSL_CERT_FILE` names others). `sslmode=disable` does without.

use super::{
    sql::{Access, Database, Dialect, Row, SqlStore, Transaction, Value, Work},
    store::StoreError,
};
use postgres::{
    config::{Host, SslMode},
    error::SqlState,
    types::{private::BytesMut, FromSql, IsNull, ToSql, Type},
    Client, Config, NoTls, Statement,
};
use std::{
    collections::HashMap,
    error::Error,
    fmt,
    net::IpAddr,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};
use tokio_postgres_rustls::MakeRustlsConnect;

/// How long a transaction is tried again when the server is away.
const PATIENCE: Duration = Duration::from_secs(10);
/// First wait; it doubles.
const FIRST_WAIT: Duration = Duration::from_millis(20);
/// Longest wait.
const LONGEST_WAIT: Duration = Duration::from_secs(1);
/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(5);
/// How long the network may be silent while something is sent.
const SILENCE: Duration = Duration::from_secs(15);

const DIALECT: Dialect = Dialect {
    number: "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY",
    bytes: "BYTEA",
    skip_locked: "FOR UPDATE SKIP LOCKED",
    // The number is this program's: 'zkonnx'.
    lock_schema: "SELECT 1 FROM pg_advisory_xact_lock(134298311028344)",
    has_schema: "SELECT 1 FROM pg_tables WHERE schemaname = current_schema() AND tablename = 'schema_version'",
};

/// A store in PostgreSQL.
pub type PostgresStore = SqlStore<Postgres>;

/// A server, and a connection to it.
pub struct Postgres {
    config: Config,
    tls: bool,
    connection: Mutex<Option<Connection>>,
}

struct Connection {
    client: Client,
    statements: HashMap<String, Statement>,
}

impl fmt::Debug for Postgres {
    /// Without the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Postgres").field("hosts", &self.config.get_hosts()).finish_non_exhaustive()
    }
}

impl Postgres {
    /// A server by its address, `postgres://USER:PASSWORD@HOST:PORT/DATABASE`; without a password, `PGPASSWORD` may have it. Nothing is
    /// connected yet.
    ///
    /// # Errors
    /// [`StoreError::Refused`] when the address is none. It does not show the password.
    pub fn new(address: &str) -> Result<Self, StoreError> {
        let refused = |e: &dyn fmt::Display| StoreError::Refused(format!("address of PostgreSQL: {e}"));
        let mut config: Config = address.parse().map_err(|e| refused(&e))?;
        if config.get_password().is_none() {
            if let Ok(password) = std::env::var("PGPASSWORD") {
                config.password(password);
            }
        }
        config.application_name("zkonnx").connect_timeout(CONNECT).tcp_user_timeout(SILENCE).keepalives_idle(SILENCE);
        let is_here = |host: &Host| match host {
            Host::Tcp(name) => name == "localhost" || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback()),
            #[cfg(unix)]
            Host::Unix(_) => true,
        };
        let tls = match address.contains("sslmode=") {
            true => config.get_ssl_mode() != SslMode::Disable,
            false => !config.get_hosts().iter().all(is_here),
        };
        config.ssl_mode(if tls { SslMode::Require } else { SslMode::Disable });
        Ok(Self { config, tls, connection: Mutex::new(None) })
    }

    fn connect(&self) -> Result<Connection, StoreError> {
        let client = match self.tls {
            false => self.config.connect(NoTls),
            true => {
                let (tls, _) = MakeRustlsConnect::with_native_certs()
                    .map_err(|_| StoreError::Refused("TLS: this machine trusts no certificates".to_owned()))?;
                self.config.connect(tls)
            }
        };
        Ok(Connection { client: client.map_err(|e| error(&e))?, statements: HashMap::new() })
    }

    /// Runs work once, on the connection that there is or a new one.
    fn attempt(&self, access: Access, work: &mut Work<'_>) -> Result<(), StoreError> {
        let mut slot = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        let mut connection = match slot.take().filter(|connection| !connection.client.is_closed()) {
            Some(connection) => connection,
            None => self.connect()?,
        };
        let mut builder = connection.client.build_transaction();
        if access == Access::Read {
            // One state of everything, so that counts belong to each other.
            builder = builder.read_only(true).isolation_level(postgres::IsolationLevel::RepeatableRead);
        }
        let result = {
            let transaction = builder.start().map_err(|e| error(&e))?;
            let mut open = Open { transaction, statements: &mut connection.statements };
            match work(&mut open) {
                Ok(()) => open.transaction.commit().map_err(|e| error(&e)),
                Err(error) => Err(error),
            }
        };
        // A connection that failed is not used again; statements end with it.
        if !matches!(result, Err(StoreError::Unavailable(_))) {
            *slot = Some(connection);
        }
        result
    }
}

impl PostgresStore {
    /// The store of a server.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be reached, or its store was written by a newer program.
    pub fn open(address: &str) -> Result<Self, StoreError> {
        Self::new(Postgres::new(address)?)
    }
}

/// Whether it makes sense to try again: the connection is lost, the server restarts, or transactions were in each other's way.
fn error(error: &postgres::Error) -> StoreError {
    let Some(state) = error.code() else {
        // Not from the server, but from the connection to it.
        let source = error.source().map(|source| format!(": {source}")).unwrap_or_default();
        return StoreError::Unavailable(format!("{error}{source}"));
    };
    let message = error.as_db_error().map_or_else(|| error.to_string(), |db| db.message().to_owned());
    let again = [
        SqlState::ADMIN_SHUTDOWN,
        SqlState::CRASH_SHUTDOWN,
        SqlState::CANNOT_CONNECT_NOW,
        SqlState::T_R_SERIALIZATION_FAILURE,
        SqlState::T_R_DEADLOCK_DETECTED,
        SqlState::TOO_MANY_CONNECTIONS,
        SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT,
    ];
    match again.contains(state) || state.code().starts_with("08") {
        true => StoreError::Unavailable(message),
        false => StoreError::Refused(message),
    }
}

impl Database for Postgres {
    fn dialect(&self) -> &Dialect {
        &DIALECT
    }

    fn transaction(&self, access: Access, mut work: Work<'_>) -> Result<(), StoreError> {
        let started = Instant::now();
        let mut wait = FIRST_WAIT;
        loop {
            match self.attempt(access, &mut work) {
                Err(StoreError::Unavailable(message)) if started.elapsed() < PATIENCE => {
                    tracing::debug!(message, "PostgreSQL again");
                    std::thread::sleep(wait);
                    wait = (2 * wait).min(LONGEST_WAIT);
                }
                result => return result,
            }
        }
    }
}

/// A transaction that is open.
struct Open<'a, 's> {
    transaction: postgres::Transaction<'a>,
    statements: &'s mut HashMap<String, Statement>,
}

impl Open<'_, '_> {
    fn prepared(&mut self, sql: &str) -> Result<Statement, StoreError> {
        if let Some(statement) = self.statements.get(sql) {
            return Ok(statement.clone());
        }
        let statement = self.transaction.prepare(&sql.replace('?', "$")).map_err(|e| error(&e))?;
        self.statements.insert(sql.to_owned(), statement.clone());
        Ok(statement)
    }
}

fn parameters(values: &[Value]) -> Vec<&(dyn ToSql + Sync)> {
    values.iter().map(|value| value as &(dyn ToSql + Sync)).collect()
}

impl Transaction for Open<'_, '_> {
    fn execute(&mut self, sql: &str, values: &[Value]) -> Result<u64, StoreError> {
        let statement = self.prepared(sql)?;
        self.transaction.execute(&statement, &parameters(values)).map_err(|e| error(&e))
    }

    fn query(&mut self, sql: &str, values: &[Value]) -> Result<Vec<Row>, StoreError> {
        let statement = self.prepared(sql)?;
        let rows = self.transaction.query(&statement, &parameters(values)).map_err(|e| error(&e))?;
        let values = |row: &postgres::Row| -> Result<Vec<Value>, StoreError> {
            (0..row.len()).map(|i| row.try_get(i).map_err(|e| error(&e))).collect()
        };
        rows.iter().map(|row| values(row).map(Row::new)).collect()
    }

    fn batch(&mut self, sql: &str) -> Result<(), StoreError> {
        self.transaction.batch_execute(sql).map_err(|e| error(&e))
    }
}

type Boxed = Box<dyn Error + Sync + Send>;

impl<'a> FromSql<'a> for Value {
    fn from_sql(ty: &Type, raw: &'a [u8]) -> Result<Self, Boxed> {
        match *ty {
            Type::INT8 => i64::from_sql(ty, raw).map(Self::Int),
            Type::INT4 => i32::from_sql(ty, raw).map(|value| Self::Int(value.into())),
            Type::BYTEA => Vec::from_sql(ty, raw).map(Self::Bytes),
            _ => String::from_sql(ty, raw).map(Self::Text),
        }
    }

    fn from_sql_null(_: &Type) -> Result<Self, Boxed> {
        Ok(Self::Null)
    }

    fn accepts(ty: &Type) -> bool {
        matches!(*ty, Type::INT8 | Type::INT4 | Type::BYTEA | Type::TEXT)
    }
}

impl ToSql for Value {
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, Boxed> {
        match self {
            Self::Null => Ok(IsNull::Yes),
            Self::Int(value) => value.to_sql_checked(ty, out),
            Self::Text(value) => value.to_sql_checked(ty, out),
            Self::Bytes(value) => value.to_sql_checked(ty, out),
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    postgres::types::to_sql_checked!();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_machines_are_spoken_to_with_tls() {
        let tls = |address: &str| Postgres::new(address).expect("an address").tls;
        for here in ["postgres://localhost/jobs", "postgres://me@127.0.0.1:5433/jobs", "postgres://%2Frun%2Fpg/jobs"] {
            assert!(!tls(here), "{here}");
        }
        for there in ["postgres://db.example/jobs", "postgres://localhost,10.0.0.7/jobs"] {
            assert!(tls(there), "{there}");
        }
        assert!(!tls("postgres://db.example/jobs?sslmode=disable"));
        assert!(tls("postgres://localhost/jobs?sslmode=require"));
    }

    #[test]
    fn a_password_is_not_shown() {
        let address = "postgres://me:secret@localhost/jobs";
        assert!(!format!("{:?}", Postgres::new(address).expect("an address")).contains("secret"));
        let error = Postgres::new("postgres://me:secret@localhost:port/jobs").expect_err("no address");
        assert!(!error.to_string().contains("secret"), "{error}");
    }
}

use async_trait::async_trait;

use crate::error::Cause;
use crate::query::too_slow;
use crate::schema::Table;
use crate::transport::Transport;
use crate::{QueryLimits, QueryRows, StoreError};

/// One value on its way to or from a database.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Cell {
    Null,
    Int(i64),
    Real(f64),
    Text(String),
}

/// A statement with its arguments, numbered `$1`, `$2`, … in both databases.
///
/// Arguments are never null: the databases disagree on the type of a null.
#[derive(Debug, Clone)]
pub(crate) struct Query {
    pub(crate) text: String,
    pub(crate) args: Vec<Cell>,
}

impl Query {
    pub(crate) fn new(text: &str) -> Self {
        Self { text: text.to_owned(), args: Vec::new() }
    }

    /// Starts with arguments that `text` names itself.
    pub(crate) fn with(text: &str, args: impl IntoIterator<Item = Cell>) -> Self {
        Self { text: text.to_owned(), args: args.into_iter().collect() }
    }

    /// Appends text.
    pub(crate) fn push(&mut self, text: &str) -> &mut Self {
        self.text.push_str(text);
        self
    }

    /// Appends the placeholder of one more argument.
    pub(crate) fn arg(&mut self, cell: impl Into<Cell>) -> &mut Self {
        self.args.push(cell.into());
        self.text.push_str(&format!("${}", self.args.len()));
        self
    }
}

/// A row, read cell by cell from the left.
#[derive(Debug)]
pub(crate) struct Row {
    cells: std::vec::IntoIter<Cell>,
}

impl Row {
    pub(crate) fn new(cells: Vec<Cell>) -> Self {
        Self { cells: cells.into_iter() }
    }

    pub(crate) fn next(&mut self) -> Cell {
        self.cells.next().unwrap_or(Cell::Null)
    }
}

/// What a database must do for [`crate::Store`]. Everything else is SQL that
/// both implementations read alike.
#[async_trait]
pub(crate) trait Database: Send + Sync {
    /// Runs one reading statement in a snapshot of its own.
    async fn fetch(&self, query: Query) -> Result<Vec<Row>, Failure>;

    /// Begins a transaction that will write. A crash before its `commit` ends
    /// means that nothing of it happened.
    async fn begin_write(&self) -> Result<Box<dyn Transaction>, Failure>;

    /// Begins a transaction whose statements all read the same snapshot.
    async fn begin_read(&self) -> Result<Box<dyn Transaction>, Failure>;

    /// What makes a `SELECT` inside a writing transaction keep its row from
    /// other writers: nothing where writers exclude each other anyway.
    fn row_lock(&self) -> &'static str;

    /// A query for the keys of `index_words` that hold all of some words, or
    /// longer ones: what stands before its argument, the argument, and what
    /// stands after.
    fn matching(&self, words: &[String]) -> (&'static str, String, &'static str);

    /// What tells the planner of rows that came all at once; nothing where it
    /// does without.
    fn look_again(&self) -> Option<&'static str>;

    /// Lists the tables, but for those that follow from others, and the columns of one (`$1`) each with its place in
    /// the table's key, 0 where it has none.
    fn catalog(&self) -> (&'static str, &'static str);

    /// Answers one reading statement of a person's own, on a connection that
    /// cannot write.
    async fn query(&self, statement: &str, limits: &QueryLimits) -> Result<QueryRows, Failure>;

    /// Makes or renews what `query` runs as: nothing where the file is all that
    /// it could reach.
    async fn confine_queries(&self) -> Result<(), Failure>;

    /// Whether that is in place.
    async fn are_queries_confined(&self) -> Result<bool, Failure>;

    /// Bounds the memory that the database takes within this process.
    async fn bound_memory(&self, bytes: u64) -> Result<(), Failure>;

    /// How what is said to it is protected; nothing where it is a file.
    async fn transport(&self) -> Result<Option<Transport>, Failure>;

    /// Closes all connections.
    async fn close(&self);
}

/// A transaction; dropping it rolls it back.
#[async_trait]
pub(crate) trait Transaction: Send {
    async fn fetch(&mut self, query: Query) -> Result<Vec<Row>, Failure>;

    /// Gives the number of rows touched.
    async fn execute(&mut self, query: Query) -> Result<u64, Failure>;

    /// Inserts rows in batches, skipping those whose key is there already if
    /// `or_ignore`. Gives the number inserted.
    async fn insert(
        &mut self,
        table: &'static Table,
        rows: Vec<Vec<Cell>>,
        or_ignore: bool,
    ) -> Result<u64, Failure>;

    /// Lets rows name what is inserted later in this transaction.
    async fn defer_foreign_keys(&mut self) -> Result<(), Failure>;

    /// Ends that, and fails where a row names what is not there; where it does
    /// nothing, the commit fails instead.
    async fn check_foreign_keys(&mut self) -> Result<(), Failure>;

    /// After this returns, the transaction survives any crash.
    async fn commit(self: Box<Self>) -> Result<(), Failure>;

    /// Loses the connection before the commit, as a test asked for, and gives
    /// what the database says then.
    async fn lose(self: Box<Self>) -> Failure;
}

/// What a database says went wrong, before [`crate::Store`] adds where.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) class: FailureClass,
    pub(crate) cause: Cause,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FailureClass {
    Unreachable,
    /// No connection as protected as was asked for.
    Tls,
    /// A pooler in between lends connections for too short a time.
    Pooled,
    Refused,
    /// The login lacks a right.
    Denied,
    /// A query has no role to run as.
    Unconfined,
    Unwritable,
    Locked,
    DiskFull,
    Corrupt,
    Constraint,
    /// It would take more memory than it may.
    Memory,
    /// A query of a person's own is refused.
    Query,
    Other,
}

impl Failure {
    pub(crate) fn new(class: FailureClass, cause: impl Into<Cause>) -> Self {
        Self { class, cause: cause.into() }
    }

    /// A query that ran out of its time.
    pub(crate) fn too_slow(limits: &QueryLimits) -> Self {
        Self::new(FailureClass::Query, too_slow(limits))
    }

    pub(crate) fn at(self, database: &crate::DatabaseUrl) -> StoreError {
        let database = database.clone();
        let cause = self.cause;
        match self.class {
            FailureClass::Unreachable => StoreError::Unreachable { database, cause },
            FailureClass::Tls => StoreError::Insecure { database, cause },
            FailureClass::Pooled => StoreError::Pooled { database, cause },
            FailureClass::Refused => StoreError::Refused { database, cause },
            FailureClass::Denied => StoreError::Denied { database, cause },
            FailureClass::Unconfined => StoreError::Unconfined { database, cause },
            FailureClass::Unwritable => StoreError::Unwritable { database, cause },
            FailureClass::Locked => StoreError::Locked { database, cause },
            FailureClass::DiskFull => StoreError::DiskFull { database, cause },
            FailureClass::Corrupt => StoreError::Corrupt { database, cause },
            FailureClass::Constraint
            | FailureClass::Memory
            | FailureClass::Query
            | FailureClass::Other => StoreError::Database { database, cause },
        }
    }
}

impl From<gyre_fault::Fault> for Failure {
    fn from(fault: gyre_fault::Fault) -> Self {
        use gyre_fault::Fault::{ConnectionLost, Device, DiskFull};
        let class = match fault {
            DiskFull => FailureClass::DiskFull,
            Device => FailureClass::Unwritable,
            ConnectionLost => FailureClass::Unreachable,
        };
        Self::new(class, fault.io_error())
    }
}

impl From<i64> for Cell {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<u32> for Cell {
    fn from(value: u32) -> Self {
        Self::Int(value.into())
    }
}

impl From<u64> for Cell {
    /// Counts of bytes, tokens and fuel: none comes near 2^63.
    fn from(value: u64) -> Self {
        Self::Int(i64::try_from(value).unwrap_or(i64::MAX))
    }
}

impl From<f64> for Cell {
    fn from(value: f64) -> Self {
        Self::Real(value)
    }
}

impl From<&str> for Cell {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

impl From<String> for Cell {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}

impl<T: Into<Cell>> From<Option<T>> for Cell {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

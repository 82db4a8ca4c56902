//! A process that reads the store while runs write it. A query that takes long sees one state from its beginning to its end, and
//! keeps checkpoints from finishing meanwhile.

use std::path::Path;

use rusqlite::{Connection, OpenFlags};

/// How much the store holds.
const QUERY: &str = "SELECT value ->> '$.commits', value ->> '$.dropped', (SELECT count(*) FROM closed_windows),
    (SELECT coalesce(sum(messages), 0) FROM closed_windows), (SELECT count(*) FROM dead) FROM manifest";

/// Commits, dropped windows, windows, their messages, batches in the outbox.
pub(crate) type Answer = [i64; 5];

pub(crate) struct Reader {
    connection: Connection,
    answer: Answer,
}

impl Reader {
    /// Its query begins; the answer must be this.
    pub(crate) fn begin(path: &Path, expected: Answer) -> Self {
        let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY);
        let connection = connection.expect("the store opens to be read");
        connection.execute_batch("BEGIN").expect("a query can begin");
        let reader = Self { connection, answer: expected };
        assert_eq!(reader.ask(), expected, "what a run has committed");
        reader
    }

    /// Its query ends.
    pub(crate) fn end(self) {
        assert_eq!(self.ask(), self.answer, "a query saw the store change");
    }

    fn ask(&self) -> Answer {
        let mut query = self.connection.prepare_cached(QUERY).expect("a query can be prepared");
        let answer = query.query_row([], |row| Ok([row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?]));
        answer.expect("a query is answered")
    }
}

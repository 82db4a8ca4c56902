//! Somebody who looks into the store while it is written: a question that takes long sees the same from its beginning to its
//! end, and keeps the log from being brought into the database meanwhile.

use rusqlite::{Connection, OpenFlags};

use super::life::Life;
use super::world::World;

/// How much the store holds.
const QUESTION: &str = "SELECT value ->> '$.commits', value ->> '$.dropped',
    (SELECT count(*) FROM windows), (SELECT coalesce(sum(messages), 0) FROM windows), (SELECT count(*) FROM dead) FROM manifest";

/// Its answer.
type Answer = [i64; 5];

/// See the module's text.
pub(super) struct Watcher {
    connection: Connection,
    answer: Answer,
}

fn ask(connection: &Connection) -> Answer {
    let mut question = connection.prepare_cached(QUESTION).expect("a question can be asked");
    let answer = question.query_row([], |row| Ok([row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?]));
    answer.expect("a question is answered")
}

impl World<'_> {
    /// Somebody begins to look into the store, or comes to the end.
    pub(super) fn look(&mut self, life: &Life) {
        match self.watcher.take() {
            Some(Watcher { connection, answer }) => {
                assert_eq!(ask(&connection), answer, "a question saw the store change");
                self.note("whoever looked into the store is done".to_owned());
            }
            None => {
                let connection = Connection::open_with_flags(self.folder.path(), OpenFlags::SQLITE_OPEN_READ_ONLY);
                let connection = connection.expect("the store opens to be read");
                connection.execute_batch("BEGIN").expect("a question can begin");
                let (answer, book) = (ask(&connection), &self.allowed[0].book);
                let messages = book.windows.values().map(|window| window.messages.cast_signed()).sum();
                let waiting = self.letters.waiting(book).count();
                let [windows, dropped, dead] =
                    [book.windows.len(), book.dropped.len(), waiting].map(|count| count as i64);
                let expected = [book.commits.cast_signed(), dropped, windows, messages, dead];
                assert_eq!(answer, expected, "what a run of {:?} has committed by now", life.kind);
                self.note("somebody looks into the store".to_owned());
                self.watcher = Some(Watcher { connection, answer });
            }
        }
    }
}

//! Merges small chunks of sensors, a few at a time: each commit with new sensors leaves one.

use rusqlite::Connection;
use rusqlite::types::ValueRef;

use super::fence::Fence;
use super::groups::{CHUNK, MEMBER, SENSORS, members};
use super::manifest::Manifest;
use super::row::Check;
use super::write::{transact, write_sensors};
use crate::error::DbError;

/// A chunk below this many bytes is small.
const SMALL: i64 = 16 << 10;

/// This many small chunks are left alone.
const FEW: usize = 64;

/// The most that are merged in a transaction.
const AT_ONCE: i64 = 1_000;

/// Merges small chunks until there are few.
pub(super) fn compact(connection: &mut Connection, fence: &Fence) -> Result<(), DbError> {
    while is_worthwhile(connection)? && transact(connection, fence, step)? {}
    Ok(())
}

const SMALL_ONES: &str = "SELECT id FROM sensors WHERE length(members) < ?1 ORDER BY id LIMIT ?2";

fn small(connection: &Connection) -> Result<Vec<i64>, DbError> {
    let mut statement = connection.prepare_cached(SMALL_ONES)?;
    let ids = statement.query_map((SMALL, AT_ONCE), |row| row.get(0))?;
    Ok(ids.collect::<Result<_, _>>()?)
}

fn is_worthwhile(connection: &Connection) -> Result<bool, DbError> {
    Ok(small(connection)?.len() > FEW)
}

/// Merges some; `false` if there was nothing to do.
fn step(connection: &Connection, manifest: &mut Manifest) -> Result<bool, DbError> {
    let ids = small(connection)?;
    if ids.len() <= FEW {
        return Ok(false);
    }
    let mut together = Vec::new();
    let mut delete = connection.prepare_cached("DELETE FROM sensors WHERE id = ?1")?;
    for id in ids {
        if together.len() >= CHUNK {
            break;
        }
        let missing = || SENSORS.damaged("a row is missing");
        let take = |[_, blob]: [ValueRef<'_>; 2], check: Check| {
            together.extend(members(blob)?);
            Ok(check)
        };
        // Only what is as it was written goes into a new row.
        let check = SENSORS.one(connection, "WHERE id = ?1", [id], take)?.ok_or_else(missing)?;
        if delete.execute([id])? != 1 {
            return Err(missing());
        }
        manifest.sensors.remove(check);
    }
    manifest.members = manifest.members.saturating_sub(together.len() as u64);
    write_sensors(connection, manifest, &together)?;
    Ok(true)
}

const _: () = assert!(SMALL as usize * AT_ONCE as usize / MEMBER >= CHUNK);

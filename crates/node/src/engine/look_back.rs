//! Look-back: a module that exports `look_back` first gets the newest records of its partition, up to the number or the age
//! in its parameters.

use std::time::{SystemTime, UNIX_EPOCH};

use fluvio_protocol::Decoder;
use fluvio_protocol::link::ErrorCode;
use fluvio_protocol::record::Record;
use fluvio_smartengine::{Lookback, SmartModuleChainInstance};
use futures_util::FutureExt;

use crate::log::batch::{Header, raw_records};
use crate::log::{LogError, PartitionLog, Tip};

const READ_BYTES: usize = 1024 * 1024;
/// The most that a module is shown, in bytes of decompressed batches: it is all in memory at once.
const MAX_BYTES: usize = 256 * 1024 * 1024;

#[derive(Debug, thiserror::Error)]
enum LookBackError {
    #[error(transparent)]
    Log(#[from] LogError),
    #[error("a stored batch cannot be decoded: {0}")]
    Batch(#[from] std::io::Error),
    #[error("it asks for more than {MAX_BYTES} bytes; ask for fewer or younger records")]
    TooMuch,
}

/// Shows every module of `chain` that wants it its look-back. Blocks.
pub(super) fn show(chain: &mut SmartModuleChainInstance, log: &PartitionLog) -> Result<(), ErrorCode> {
    let read = |wanted: Lookback| async move { Ok(records(log, wanted)?) };
    // Nothing in it waits.
    let shown = chain.look_back(read).now_or_never();
    let shown = shown.ok_or_else(|| ErrorCode::SmartModuleLookBackError("the engine did not finish".into()))?;
    shown.map_err(|error| ErrorCode::SmartModuleLookBackError(error.root_cause().to_string()))
}

fn records(log: &PartitionLog, wanted: Lookback) -> Result<Vec<Record>, LookBackError> {
    let Tip { start, end, .. } = log.tip();
    let newest = |count: u64| end.saturating_sub(i64::try_from(count).unwrap_or(i64::MAX)).max(start);
    let (from, oldest) = match wanted {
        Lookback::Last(count) => (newest(count), i64::MIN),
        Lookback::Age { age, last } => {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            let oldest = i64::try_from(now.saturating_sub(age).as_millis()).unwrap_or(i64::MAX);
            (if last > 0 { newest(last) } else { start }, oldest)
        }
    };
    let mut found = Vec::new();
    let (mut next, mut bytes) = (from, 0);
    while next < end {
        let chunk = match log.read(next, READ_BYTES) {
            // Retention has removed it meanwhile.
            Err(LogError::BeforeStart { start, .. }) => {
                next = start;
                continue;
            }
            read => read?,
        };
        let mut rest = chunk.data;
        while let Some(header) = Header::read(&rest) {
            let batch = rest.split_to(header.length);
            if header.max_timestamp < oldest {
                continue;
            }
            let raw = raw_records(&batch, &header)?;
            bytes += raw.len();
            if bytes > MAX_BYTES {
                return Err(LookBackError::TooMuch);
            }
            let decoded: Vec<Record> = Decoder::decode_from(&mut raw.as_slice(), 0)?;
            found.extend(decoded.into_iter().enumerate().filter_map(|(index, record)| {
                let young = header.first_timestamp.saturating_add(record.timestamp_delta()) >= oldest;
                (young && header.base_offset + index as i64 >= from).then_some(record)
            }));
        }
        next = chunk.next;
    }
    Ok(found)
}

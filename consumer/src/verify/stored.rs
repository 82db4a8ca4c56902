//! What a store says, read in a thread of its own: all of it from one moment, windows and sensors as they are asked for.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use isotherm_engine::audit::{Rows, Stored};
use isotherm_engine::results::WindowResult;
use isotherm_engine::state::SensorEntry;
use isotherm_model::time;
use isotherm_model::window::{Millis, Window};
use isotherm_store::error::StoreFault;
use isotherm_store::{Identity, Snapshot, StoreReader, Windows};
use tokio::sync::mpsc;

/// How many windows are read ahead.
const AHEAD: usize = 256;

/// What a store says, in this order: once `Run`, each `Window` ascending by start, `Windows` when that were all, the
/// `Sensors` of the run, `End`.
pub(super) enum Said {
    Run(Box<(Identity, Stored)>),
    Window(WindowResult),
    Windows,
    Sensors(Vec<SensorEntry>),
    End,
}

/// Reads the store at `path`. As long as the answer is not dropped, the store's moment is held.
pub(super) fn read(path: PathBuf) -> mpsc::Receiver<Result<Said, StoreFault>> {
    let (say, said) = mpsc::channel(AHEAD);
    tokio::task::spawn_blocking(move || {
        if let Err(fault) = tell(path, &say) {
            // If nobody listens any longer there is nobody to tell.
            let _ = say.blocking_send(Err(fault));
        }
    });
    said
}

fn tell(path: PathBuf, say: &mpsc::Sender<Result<Said, StoreFault>>) -> Result<(), StoreFault> {
    let mut reader = StoreReader::open(&path)?;
    let identity = reader.identity().clone();
    let snapshot = reader.snapshot()?;
    let stored = stored(&identity, &snapshot)?;
    if say.blocking_send(Ok(Said::Run(Box::new((identity, stored))))).is_err() {
        return Ok(());
    }
    let mut heard = true;
    snapshot.windows(Windows::All, |window| {
        heard = say.blocking_send(Ok(Said::Window(window))).is_ok();
        if heard { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    if !heard || say.blocking_send(Ok(Said::Windows)).is_err() {
        return Ok(());
    }
    snapshot.sensors(|sensors| {
        heard = say.blocking_send(Ok(Said::Sensors(sensors))).is_ok();
        if heard { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    if heard {
        let _ = say.blocking_send(Ok(Said::End));
    }
    Ok(())
}

/// All but the windows, and which of them there are.
fn stored(identity: &Identity, snapshot: &Snapshot<'_>) -> Result<Stored, StoreFault> {
    let size = identity.subject.window.max(1);
    let mut rows = Rows::default();
    snapshot.windows(Windows::All, |window| {
        rows.push(Window(window.start.div_euclid(size)));
        ControlFlow::Continue(())
    })?;
    Ok(Stored {
        topic: snapshot.topic(),
        partitions: snapshot.partitions()?,
        accounts: snapshot.accounts()?,
        totals: snapshot.totals()?,
        groups: snapshot.groups()?,
        dropped: snapshot.overview().dropped,
        rows,
        age: age(&identity.created),
    })
}

/// How long ago this was, by the clock.
fn age(created: &str) -> Option<Millis> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
    Some(Millis::try_from(now.as_millis()).ok()?.saturating_sub(time::parse(created.as_bytes())?))
}

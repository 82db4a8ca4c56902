//! What a store says, read in a thread of its own: all of it from one moment, windows and sensors as they are asked for.

use std::ops::ControlFlow;
use std::path::PathBuf;

use isotherm_engine::audit::{Stored, WindowSet};
use isotherm_engine::results::WindowResult;
use isotherm_engine::state::SensorEntry;
use isotherm_model::time;
use isotherm_model::window::Window;
use isotherm_store::{Identity, Snapshot, StoreReader, Windows};
use tokio::sync::mpsc;

/// How many windows are read ahead.
const AHEAD: usize = 256;

/// What a store says, in this order: once `Run`, each `Window` in the order in which they closed, `Windows` when that were all, the
/// `Sensors` of the run, `End`.
pub(super) enum StoreItem {
    Run(Box<(Identity, Stored)>),
    Window(WindowResult),
    Windows,
    Sensors(Vec<SensorEntry>),
    End,
}

/// Reads the store at `path`. As long as the answer is not dropped, the store's moment is held.
pub(super) fn read(path: PathBuf) -> mpsc::Receiver<Result<StoreItem, isotherm_store::Error>> {
    let (sender, items) = mpsc::channel(AHEAD);
    tokio::task::spawn_blocking(move || {
        if let Err(fault) = send(path, &sender) {
            // If nobody receives any longer, the error does not matter.
            let _ = sender.blocking_send(Err(fault));
        }
    });
    items
}

fn send(
    path: PathBuf,
    sender: &mpsc::Sender<Result<StoreItem, isotherm_store::Error>>,
) -> Result<(), isotherm_store::Error> {
    let mut reader = StoreReader::open(&path)?;
    let identity = reader.identity().clone();
    let snapshot = reader.snapshot()?;
    let stored = stored(&identity, &snapshot)?;
    // Once nobody receives any longer, whatever else is sent is lost, and nothing more is read.
    let send = |item| match sender.blocking_send(Ok(item)) {
        Ok(()) => ControlFlow::Continue(()),
        Err(_) => ControlFlow::Break(()),
    };
    if send(StoreItem::Run(Box::new((identity, stored)))).is_continue() {
        snapshot.windows(Windows::AllAsClosed, |window| send(StoreItem::Window(window)))?;
    }
    if send(StoreItem::Windows).is_continue() {
        snapshot.sensors(|sensors| send(StoreItem::Sensors(sensors)))?;
    }
    let _ = send(StoreItem::End);
    Ok(())
}

/// All but the windows, and which of them there are.
fn stored(identity: &Identity, snapshot: &Snapshot<'_>) -> Result<Stored, isotherm_store::Error> {
    let size = identity.subject.window.max(1);
    let mut windows = WindowSet::default();
    snapshot.windows(Windows::All, |window| {
        windows.push(Window(window.start.div_euclid(size)));
        ControlFlow::Continue(())
    })?;
    Ok(Stored {
        topic: snapshot.topic(),
        partitions: snapshot.partitions()?,
        parts: snapshot.parts()?,
        accounts: snapshot.accounts()?,
        totals: snapshot.totals()?,
        groups: snapshot.groups()?,
        dropped: snapshot.overview().dropped,
        windows,
        age: time::parse(identity.created.as_bytes()).map(|created| isotherm_store::now().saturating_sub(created)),
    })
}

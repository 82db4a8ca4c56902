//! The reader over a scripted way to the leader, on a clock that the tests move: what it hands on, and how it fetches. How
//! it attaches is in [`attaching`], what ends it in [`ending`].

mod attaching;
mod ending;

use std::sync::Mutex;

use async_trait::async_trait;
use isotherm_model::codec;
use isotherm_model::combine::{Record, combine};
use isotherm_model::partial::{ModuleVersion, Partial};
use isotherm_model::settings::Settings;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::time::timeout;

use super::super::super::lookup::{Lookup, StoredInfo};
use super::super::super::plan::ReadStart;
use super::super::super::topic::{Message, ROOM, SourceContext};
use super::super::api::ResponseStream;
use super::super::error::ModuleError;
use super::*;

/// What a stream gives, one after the other; after the last nothing more comes.
#[derive(Clone)]
enum Step {
    /// An answer with these partials.
    Answer(Vec<RecordData>),
    /// An answer that is an error.
    Error(ErrorCode),
    /// Nothing for so long.
    Wait(Duration),
    /// The connection breaks.
    Break,
}

/// What the reader did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Did {
    Stream(i64, i32),
    Acknowledge(i64),
    Look(i64),
}

/// The cluster that is played.
#[derive(Default)]
struct Script {
    /// The streams of one connection after the other. When there are no more, nobody leads the partition.
    streams: VecDeque<Vec<Step>>,
    extent: (i64, i64),
    /// Whether the partition has followers.
    replicated: bool,
    /// Whether questions remain without an answer.
    silent: bool,
    another_module: bool,
    stored: Vec<StoredInfo>,
    /// What has been given: it is in the log, too.
    given: Vec<StoredInfo>,
    /// What a look at the log says instead of what is there.
    looks: VecDeque<Result<Lookup, String>>,
    did: Vec<Did>,
}

type Shared = Arc<Mutex<Script>>;

struct ScriptedApi(Shared);
struct ScriptedConnection(Shared, Vec<Step>);
struct ScriptedStream {
    script: Shared,
    steps: VecDeque<Step>,
    /// When the step that waits is over.
    until: Option<Instant>,
}

#[async_trait]
impl BrokerApi for ScriptedApi {
    async fn connect(&self) -> Result<Box<dyn PartitionConnection>, ConnectError> {
        let steps = self.0.lock().unwrap().streams.pop_front().ok_or(ConnectError::NoLeader)?;
        Ok(Box::new(ScriptedConnection(self.0.clone(), steps)))
    }

    async fn is_another_module(&self) -> bool {
        self.0.lock().unwrap().another_module
    }

    async fn stored(&self, offset: i64) -> Option<StoredInfo> {
        let script = self.0.lock().unwrap();
        script.stored.iter().find(|stored| (stored.first..stored.next).contains(&offset)).copied()
    }

    async fn look(&self, offset: i64) -> Result<Lookup, String> {
        let mut script = self.0.lock().unwrap();
        script.did.push(Did::Look(offset));
        if let Some(look) = script.looks.pop_front() {
            return look;
        }
        let mut log = script.stored.iter().chain(&script.given);
        let found = log.find(|stored| (stored.first..stored.next).contains(&offset));
        Ok(Lookup::Batch(*found.expect("only what was read is looked at")))
    }
}

#[async_trait]
impl PartitionConnection for ScriptedConnection {
    fn is_replicated(&self) -> bool {
        self.0.lock().unwrap().replicated
    }

    async fn bounds(&self, timeout: Duration) -> Result<LogBounds, ConnectionError> {
        let (silent, (start, end)) = {
            let script = self.0.lock().unwrap();
            (script.silent, script.extent)
        };
        if silent {
            tokio::time::sleep(timeout).await;
            return Err(ConnectionError::Silent(timeout));
        }
        Ok(LogBounds { start, end })
    }

    async fn stream(&mut self, offset: i64, max_bytes: i32) -> Result<Box<dyn ResponseStream>, ConnectionError> {
        self.0.lock().unwrap().did.push(Did::Stream(offset, max_bytes));
        let steps = std::mem::take(&mut self.1).into();
        Ok(Box::new(ScriptedStream { script: self.0.clone(), steps, until: None }))
    }

    async fn acknowledge(&self, _session: u32, offset: i64, _timeout: Duration) -> Result<(), ConnectionError> {
        self.0.lock().unwrap().did.push(Did::Acknowledge(offset));
        Ok(())
    }
}

#[async_trait]
impl ResponseStream for ScriptedStream {
    async fn next(&mut self) -> Result<FetchResponse, ConnectionError> {
        while let Some(Step::Wait(time)) = self.steps.front() {
            let until = *self.until.get_or_insert(Instant::now() + *time);
            tokio::time::sleep_until(until).await;
            self.until = None;
            self.steps.pop_front();
        }
        match self.steps.pop_front() {
            Some(Step::Answer(values)) => {
                let given = values.iter().filter_map(|value| {
                    let source = codec::decode(value.as_ref()).ok()?.source;
                    let (bytes, digest) = (value.len(), codec::digest(value.as_ref()));
                    Some(StoredInfo { first: source.first, next: source.next, bytes, digest })
                });
                self.script.lock().unwrap().given.extend(given);
                Ok(FetchResponse { session: 1, values, ..FetchResponse::default() })
            }
            Some(Step::Error(code)) => Ok(FetchResponse { session: 1, error: Some(code), ..FetchResponse::default() }),
            Some(Step::Break) => Err(ConnectionError::Closed),
            Some(Step::Wait(_)) | None => std::future::pending().await,
        }
    }
}

/// What the command line says of an error.
fn said(error: &SourceError) -> String {
    crate::render::source_hints::text(error, Some("127.0.0.1:9003"))
}

fn module_error(error: &SourceError) -> &ModuleError {
    let SourceError::Combiner(error) = error else { panic!("{error}") };
    error.downcast_ref().expect("of the module")
}

/// A reader under test. Every wait ends in the clock's time, however much of it.
struct Rig {
    script: Shared,
    context: Arc<ModuleContext>,
    gate: watch::Sender<bool>,
    messages: mpsc::Receiver<Message>,
    began: Instant,
}

impl Rig {
    fn new(begin: ReadStart, script: Script) -> Self {
        let settings = Settings::default();
        let accept_data_loss = matches!(begin, ReadStart::At { accept_data_loss: true, .. });
        let context = Arc::new(ModuleContext {
            source: SourceContext::new("sensors", Duration::from_secs(10), accept_data_loss),
            module: "window-stats".to_owned(),
            fingerprint: settings.fingerprint(),
            address: "127.0.0.1:9003".to_owned(),
            opening: Arc::new(Semaphore::new(OPENING)),
        });
        let (gate, paused) = watch::channel(false);
        let (sender, messages) = mpsc::channel(1);
        let script = Arc::new(Mutex::new(script));
        let api = Box::new(ScriptedApi(script.clone()));
        let outlet = Outlet { partition: 3, begin, messages: sender, paused };
        let reader = Reader::new(context.clone(), api, outlet);
        tokio::spawn(reader.run());
        Self { script, context, gate, messages, began: Instant::now() }
    }

    /// What happens next, but for ends that are told; `None` if nothing does for so long.
    async fn within(&mut self, time: Duration) -> Option<Result<Happened, SourceError>> {
        let next = async {
            loop {
                let message = self.messages.recv().await.expect("the reader goes on");
                match message.what {
                    Ok(Event::End { .. }) => {}
                    Ok(event) => return Ok(Happened::from(event)),
                    Err(error) => return Err(error),
                }
            }
        };
        timeout(time, next).await.ok()
    }

    async fn next(&mut self) -> Happened {
        match self.within(Duration::from_secs(1_000_000)).await {
            Some(Ok(happened)) => happened,
            other => panic!("{other:?}; {:?}", self.script.lock().unwrap().did),
        }
    }

    async fn error(&mut self) -> SourceError {
        loop {
            match self.within(Duration::from_secs(1_000_000)).await {
                Some(Ok(_)) => {}
                Some(Err(error)) => return error,
                None => panic!("it goes on; {:?}", self.script.lock().unwrap().did),
            }
        }
    }

    async fn expect(&mut self, all: &[Happened]) {
        for (number, wanted) in all.iter().enumerate() {
            assert_eq!(self.next().await, *wanted, "number {number} of {all:?}");
        }
    }

    fn did(&self) -> Vec<Did> {
        self.script.lock().unwrap().did.clone()
    }

    fn sizes(&self) -> Vec<i32> {
        let size = |did: Did| if let Did::Stream(_, size) = did { Some(size) } else { None };
        self.did().into_iter().filter_map(size).collect()
    }
}

/// An event of partition 3, in short.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Happened {
    Attached(i64, i64),
    Detached,
    Partial(i64, i64),
    OffsetGap(i64),
}

impl std::convert::From<Event> for Happened {
    fn from(event: Event) -> Self {
        match event {
            Event::Attached { partition: 3, position, end: Some(end) } => Self::Attached(position, end),
            Event::Detached { partition: 3 } => Self::Detached,
            Event::Partial { partition: 3, partial, .. } => Self::Partial(partial.source.first, partial.source.next),
            Event::OffsetGap { partition: 3, next } => Self::OffsetGap(next),
            event => panic!("{event:?}"),
        }
    }
}

use Happened::{Attached, Detached, OffsetGap};

fn made(first: i64, count: i64) -> Partial {
    combine(&Settings::default(), first, None, (0..count).map(|_| Record { timestamp: None, value: b"no reading" }))
}

/// A batch's partial.
fn partial(first: i64, count: i64) -> RecordData {
    codec::encode(&made(first, count)).expect("sound").into()
}

/// A partial of another version of the module.
fn foreign(first: i64, count: i64) -> RecordData {
    let mut partial = made(first, count);
    partial.version = ModuleVersion { major: 9, minor: 9, patch: 9 };
    codec::encode(&partial).expect("sound").into()
}

/// A batch of so many records in the log, which ends at `next`.
fn stored(first: i64, count: i64, next: i64) -> StoredInfo {
    let bytes = partial(first, count);
    StoredInfo { first, next, bytes: bytes.len(), digest: codec::digest(bytes.as_ref()) }
}

fn answers(partials: &[(i64, i64)]) -> Vec<Step> {
    vec![Step::Answer(partials.iter().map(|(first, count)| partial(*first, *count)).collect())]
}

fn script(extent: (i64, i64), streams: impl IntoIterator<Item = Vec<Step>>) -> Script {
    Script { streams: streams.into_iter().collect(), extent, ..Script::default() }
}

const BEGINNING: ReadStart = ReadStart::Beginning;

#[tokio::test(start_paused = true)]
async fn what_was_skipped_is_fetched_again_with_a_larger_size() {
    let streams = [answers(&[(0, 10), (20, 10)]), answers(&[(10, 10), (20, 10)])];
    let stored = vec![stored(0, 10, 10)];
    let mut rig = Rig::new(BEGINNING, Script { stored, ..script((0, 30), streams) });
    let partial = |first| Happened::Partial(first, first + 10);
    rig.expect(&[Attached(0, 30), partial(0), Detached, Attached(10, 30), partial(10), partial(20)]).await;
    assert!(rig.within(Duration::from_secs(3_600)).await.is_none());
    let wanted = [Did::Stream(0, 2 << 20), Did::Look(0), Did::Stream(10, 8 << 20), Did::Acknowledge(30)];
    assert_eq!(rig.did(), wanted);
}

#[tokio::test(start_paused = true)]
async fn a_misfit_that_stays_with_the_largest_size_is_handed_on() {
    let mut rig = Rig::new(BEGINNING, script((0, 30), (0..9).map(|_| answers(&[(20, 10)]))));
    let mut happened = rig.next().await;
    while let Attached(0, 30) | Detached = happened {
        happened = rig.next().await;
    }
    assert_eq!(happened, Happened::Partial(20, 30));
    assert_eq!(rig.sizes(), [2 << 20, 8 << 20, 32 << 20, 65 << 20, 129 << 20]);
}

#[tokio::test(start_paused = true)]
async fn a_slow_broker_is_given_the_time_that_its_backlog_takes() {
    let end = 100_000_000;
    let mut rig = Rig::new(BEGINNING, Script { stored: vec![stored(0, 10, 10)], ..script((0, end), [vec![], vec![]]) });
    rig.expect(&[Attached(0, end), Detached]).await;
    let waited = rig.began.elapsed();
    assert!(waited >= Duration::from_secs(1_000) && waited < Duration::from_secs(1_100), "{waited:?}");
    rig.expect(&[Attached(0, end)]).await;
    assert_eq!(rig.sizes(), [2 << 20; 2], "the next partial fits: nothing is gained by asking for more");
}

#[tokio::test(start_paused = true)]
async fn a_stream_whose_first_answer_is_late_is_not_given_up_for_another_one() {
    let mut rig = Rig::new(
        BEGINNING,
        script((0, 10), [[vec![Step::Wait(Duration::from_secs(60))], answers(&[(0, 10)])].concat()]),
    );
    rig.expect(&[Attached(0, 10), Happened::Partial(0, 10)]).await;
    assert_eq!(rig.sizes(), [2 << 20]);
    // Nor is it waited for for ever.
    let mut rig = Rig::new(BEGINNING, script((0, 10), [vec![], answers(&[(0, 10)])]));
    rig.expect(&[Attached(0, 10), Detached, Attached(0, 10), Happened::Partial(0, 10)]).await;
    assert!(rig.began.elapsed() < Duration::from_secs(120), "{:?}", rig.began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn many_stalls_do_not_end_the_run() {
    let mut rig = Rig::new(BEGINNING, script((0, 10), (0..40).map(|_| vec![]).chain([answers(&[(0, 10)])])));
    for _ in 0..40 {
        rig.expect(&[Attached(0, 10), Detached]).await;
    }
    rig.expect(&[Attached(0, 10), Happened::Partial(0, 10)]).await;
}

#[tokio::test(start_paused = true)]
async fn a_partial_that_does_not_fit_is_asked_for_with_what_it_needs() {
    let stored = vec![StoredInfo { bytes: 40 << 20, ..stored(0, 10, 10) }];
    let streams = [vec![], answers(&[(0, 10)])];
    let mut rig = Rig::new(BEGINNING, Script { stored, ..script((0, 10), streams) });
    rig.expect(&[Attached(0, 10), Detached, Attached(0, 10), Happened::Partial(0, 10)]).await;
    assert_eq!(rig.sizes(), [2 << 20, 65 << 20]);
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_falls_silent_is_known_to_be_lost_well_before_idle() {
    let mut rig = Rig::new(BEGINNING, script((0, 10), [answers(&[(0, 10)]), vec![]]));
    rig.expect(&[Attached(0, 10), Happened::Partial(0, 10)]).await;
    assert!(rig.within(Duration::from_secs(600)).await.is_none(), "quiet is not silent");
    let since = Instant::now();
    rig.script.lock().unwrap().silent = true;
    rig.expect(&[Detached]).await;
    assert!(since.elapsed() < Duration::from_secs(5), "{:?}", since.elapsed());
    rig.script.lock().unwrap().silent = false;
    rig.expect(&[Attached(10, 10)]).await;
}

#[tokio::test(start_paused = true)]
async fn a_foreign_partial_within_a_stream_is_waited_out() {
    let first = vec![Step::Answer(vec![partial(0, 10), foreign(10, 10)])];
    let mut rig =
        Rig::new(BEGINNING, script((0, 20), [first, vec![Step::Answer(vec![foreign(10, 10)])], answers(&[(10, 10)])]));
    let (before, after) = (Happened::Partial(0, 10), Happened::Partial(10, 20));
    rig.expect(&[Attached(0, 20), before, Detached, Attached(10, 20), Detached, Attached(10, 20), after]).await;
}

#[tokio::test(start_paused = true)]
async fn a_foreign_module_that_stays_is_for_the_materializer_to_refuse() {
    let streams = (0..100).map(|_| vec![Step::Answer(vec![foreign(0, 10)])]);
    let mut rig = Rig::new(BEGINNING, script((0, 10), streams));
    let mut happened = rig.next().await;
    while let Attached(0, 10) | Detached = happened {
        happened = rig.next().await;
    }
    assert_eq!(happened, Happened::Partial(0, 10));
}

#[tokio::test(start_paused = true)]
async fn partials_of_another_format_that_stay_are_refused_with_what_to_do() {
    let mut old = partial(0, 10).as_ref().to_vec();
    old[4] = 2;
    let streams = (0..100).map(|_| vec![Step::Answer(vec![old.clone().into()])]);
    let mut rig = Rig::new(BEGINNING, script((0, 10), streams));
    let error = rig.error().await;
    let said = said(&error);
    for part in ["format 1", "format 2", "isotherm-consumer deploy --replace"] {
        assert!(said.contains(part), "{part}: {said}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_pause_holds_the_rest_of_an_answer() {
    let partials: Vec<_> = (0..10).map(|number| (number * 10, 10)).collect();
    let mut rig = Rig::new(BEGINNING, script((0, 100), [answers(&partials)]));
    rig.expect(&[Attached(0, 100), Happened::Partial(0, 10)]).await;
    rig.gate.send_replace(true);
    let mut came = 1;
    while let Some(Ok(Happened::Partial(..))) = rig.within(Duration::from_secs(3_600)).await {
        came += 1;
    }
    assert!(came <= 3, "{came} came: more than were under way");
    assert_eq!(rig.did(), [Did::Stream(0, 2 << 20)], "nothing is acknowledged before all of it is handed on");
    rig.gate.send_replace(false);
    for number in came..10 {
        rig.expect(&[Happened::Partial(number * 10, number * 10 + 10)]).await;
    }
    assert!(rig.within(Duration::from_secs(60)).await.is_none());
    assert_eq!(rig.did().last(), Some(&Did::Acknowledge(100)));
}

#[tokio::test(start_paused = true)]
async fn what_waits_to_be_taken_takes_room() {
    let mut rig = Rig::new(BEGINNING, script((0, 20), [answers(&[(0, 10), (10, 10)])]));
    // The reader has not run yet.
    let all = rig.context.source.all_room().try_acquire_many_owned(ROOM).expect("nothing waits");
    rig.expect(&[Attached(0, 20)]).await;
    assert!(rig.within(Duration::from_secs(60)).await.is_none(), "there is no room");
    drop(all);
    rig.expect(&[Happened::Partial(0, 10), Happened::Partial(10, 20)]).await;
    assert!(rig.within(Duration::from_secs(60)).await.is_none());
    assert_eq!(rig.context.source.all_room().available_permits(), ROOM as usize, "what was taken gives its room back");
}

#[tokio::test(start_paused = true)]
async fn a_hole_between_two_batches_is_passed_without_reading_again() {
    let stored = vec![stored(0, 4, 10), stored(10, 2, 12)];
    let mut rig = Rig::new(BEGINNING, Script { stored, ..script((0, 12), [answers(&[(0, 4), (10, 2)])]) });
    rig.expect(&[Attached(0, 12), Happened::Partial(0, 4), OffsetGap(10), Happened::Partial(10, 12)]).await;
    assert!(rig.within(Duration::from_secs(60)).await.is_none());
    assert_eq!(rig.did(), [Did::Stream(0, 2 << 20), Did::Acknowledge(12)]);
}

#[tokio::test(start_paused = true)]
async fn a_hole_at_the_end_of_the_log_is_passed_soon() {
    let mut rig =
        Rig::new(BEGINNING, Script { stored: vec![stored(0, 4, 10)], ..script((0, 10), [answers(&[(0, 4)])]) });
    rig.expect(&[Attached(0, 10), Happened::Partial(0, 4), OffsetGap(10)]).await;
    assert!(rig.began.elapsed() < Duration::from_secs(5), "{:?}", rig.began.elapsed());
    assert!(rig.within(Duration::from_secs(3_600)).await.is_none());
    assert_eq!(rig.did(), [Did::Stream(0, 2 << 20), Did::Acknowledge(4), Did::Acknowledge(10)]);
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_comes_again_because_of_its_hole_is_dropped() {
    // Told to go on at 4, which lies within the first batch, the broker begins with that one again.
    for streams in [
        vec![[answers(&[(0, 4)]), answers(&[(0, 4), (10, 2)])].concat()],
        vec![[answers(&[(0, 4)]), vec![Step::Break]].concat(), answers(&[(0, 4), (10, 2)])],
    ] {
        let again = streams.len() > 1;
        let mut rig = Rig::new(BEGINNING, Script { stored: vec![stored(0, 4, 10)], ..script((0, 12), streams) });
        rig.expect(&[Attached(0, 12), Happened::Partial(0, 4)]).await;
        if again {
            rig.expect(&[Detached, Attached(4, 12)]).await;
        }
        rig.expect(&[OffsetGap(10), Happened::Partial(10, 12)]).await;
        assert!(rig.within(Duration::from_secs(60)).await.is_none());
    }
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_is_not_the_one_that_was_read_makes_no_hole() {
    let stored = vec![StoredInfo { digest: 1, ..stored(0, 4, 10) }];
    let mut rig = Rig::new(BEGINNING, Script { stored, ..script((0, 12), [answers(&[(0, 4), (10, 2)]), vec![]]) });
    rig.expect(&[Attached(0, 12), Happened::Partial(0, 4), Detached]).await;
    let error = rig.error().await;
    assert!(matches!(error, SourceError::OtherLog { partition: 3, offset: 0, .. }), "{error:?}");
}

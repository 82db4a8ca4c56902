//! Ledgers of stores as values, and their tables.

use std::time::Duration;

use isotherm_engine::ledger::KeyedRange;
use isotherm_model::partial::SourceRange;
use isotherm_model::rejection::Rejection;
use isotherm_model::schema::{Groups, Pointer};
use isotherm_model::window::{Window, WindowSize};

use super::*;

fn range<K>(key: K, first: i64, next: i64, records: u64) -> KeyedRange<K> {
    KeyedRange { key, range: SourceRange { first, next }, records }
}

fn lost(cause: LostCause, first: i64, next: i64, records: u64) -> LostRange {
    LostRange { partition: 1, cause, range: SourceRange { first, next }, batches: 1, records }
}

struct Store {
    settings: Settings,
    partitions: BTreeMap<PartitionId, PartitionState>,
    accounts: BTreeMap<PartitionId, Account>,
    waiting: BTreeMap<PartitionId, Waiting>,
    lost: Vec<LostRange>,
}

impl Store {
    /// Of three partitions, the last of which has not had a record.
    fn new() -> Self {
        let state = |merged| PartitionState { position: merged, restore_from: merged, ..PartitionState::default() };
        let mut rejected = RejectedCounts::default();
        rejected.add(Rejection::NotJson, 1_000);
        rejected.add(Rejection::BadTime, 2);
        let late = (0..23).map(|k| range(Window(k), 100 * k, 100 * k + 50, 1)).collect();
        let first = Account {
            read: 12_345,
            counted: 11_313,
            late: 30,
            rejected,
            late_ranges: ledger::Ranges::restored(late, 7),
            rejected_ranges: ledger::Ranges::restored(
                vec![range(Rejection::NotJson, 50, 2_000, 1_000), range(Rejection::BadTime, 70, 90, 2)],
                0,
            ),
            restored: 40,
            data_losses: vec![ledger::DataLoss { range: SourceRange { first: 12_300, next: 12_400 }, lost: 55 }],
        };
        let mut rejected = RejectedCounts::default();
        rejected.add(Rejection::Future, 3);
        let second = Account { read: 10, counted: 7, rejected, ..Account::default() };
        Self {
            settings: Settings::default(),
            partitions: [(0, state(12_400)), (1, state(10)), (2, state(0))].into(),
            accounts: [(0, first), (1, second)].into(),
            waiting: [(0, Waiting { batches: 2, records: 7 })].into(),
            lost: vec![lost(LostCause::Cut, 0, 5, 2), lost(LostCause::TooLarge, 7, 9, 1)],
        }
    }

    fn report(&self) -> LedgerReport {
        report(&LedgerInput {
            topic: "sensors",
            run: "7f8c1d1e-9a51-4d0e-8a5b-0d9a4f4f1c55",
            settings: &self.settings,
            commits: 1_234,
            partitions: &self.partitions,
            accounts: &self.accounts,
            waiting: &self.waiting,
            lost: &self.lost,
        })
    }

    fn text(&self) -> String {
        text(&self.report(), &self.settings).iter().map(|line| format!("{line}\n")).collect()
    }
}

#[test]
fn everything_adds_up() {
    let report = Store::new().report();
    let Counts { read, counted, late, rejected, restored, lost, dead_letters } = report.counts;
    assert_eq!((read, counted, late, rejected.total(), restored, lost), (12_355, 11_320, 30, 1_005, 40, 55));
    assert_eq!(read, counted + late + rejected.total());
    assert_eq!(dead_letters.waiting, Letters { batches: 2, records: 7 });
    assert_eq!(dead_letters.lost, Letters { batches: 2, records: 3 });
    let of: Vec<_> =
        report.partitions.iter().map(|ledger| (ledger.partition, ledger.next, ledger.counts.read)).collect();
    assert_eq!(of, [(0, 12_400, 12_345), (1, 10, 10), (2, 0, 0)]);
    let PartitionLedger { late_ranges: late, late_unlisted, .. } = &report.partitions[0];
    assert_eq!((late.len(), late[2].kind, *late_unlisted), (23, Kind::Window(6_000), 7), "windows by their start");
}

#[test]
fn the_table_says_all_of_it() {
    let text = Store::new().text();
    let golden = include_str!("table.txt");
    assert!(text == golden, "now:\n{text}\nbefore:\n{golden}");
}

#[test]
fn a_store_without_faults_has_a_short_ledger() {
    let mut store = Store::new();
    store.accounts.clear();
    (store.waiting, store.lost) = (BTreeMap::new(), Vec::new());
    let text = store.text();
    assert_eq!(text.lines().count(), 6, "{text}");
    for line in ["partition  position  read  counted  late  rejected  restored  lost", "all"] {
        assert!(text.contains(line), "{text}");
    }
}

#[test]
fn the_example_has_the_parameters_that_the_store_was_made_with() {
    let mut store = Store::new();
    store.settings.schema.group = Pointer::parse("/it's/plant").expect("a pointer");
    store.settings.schema.groups = Groups::Any;
    store.settings.window = WindowSize::new(Duration::from_secs(10)).expect("a size");
    let text = store.text();
    let wanted = r"reading-gate -e reason=not-json -e 'group=/it'\''s/plant' -e groups=any -e window=10s";
    assert!(text.contains(wanted), "{text}");
}

#[test]
fn foreign_text_cannot_steer_a_terminal() {
    let mut store = Store::new();
    store.settings.schema.group = Pointer::parse("/a\u{1b}[2Jb").expect("a pointer");
    assert!(!store.text().contains('\u{1b}'));
}

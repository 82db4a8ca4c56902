//! Results as JSON lines: the bytes that documents promise.
//!
//! ```text
//! {"type":"window","start":…,"end":…,"closed_by":…,"messages":…,"sensors":…,"groups":[…]}
//! {"type":"totals","messages":…,"counted":…,"late":…,"rejected":{…},"sensors":…,"groups":[…]}
//! ```
//!
//! Totals that leave their groups out say how many they are: `"groups":[],"groups_omitted":…`.
//!
//! A group is `{"state":"AK","messages":…,"sensors":…,"sum":…,"avg":…,"min":…,"max":…}`, where `state` is the last name
//! of the group's pointer. No white space; numbers carry at most six decimals and no trailing zeros; times are UTC, with
//! milliseconds only where there are any; `rejected` names the reasons that occurred, in the order of
//! [`Rejection::ALL`](isotherm_model::rejection::Rejection::ALL).

use std::io;

use isotherm_engine::results::{ClosedBy, GroupResult, Totals, WindowResult};
use isotherm_model::rejection::RejectedCounts;
use isotherm_model::schema::Pointer;
use isotherm_model::time::Millis;
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use super::{Decimal, json, reasons, text, time};

/// Writes results as JSON lines, without line feeds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JsonLines {
    /// The name of a group's first member.
    member: String,
}

impl JsonLines {
    /// `group` is the groups' pointer in a reading.
    pub fn new(group: &Pointer) -> Self {
        Self { member: group.last().to_owned() }
    }

    pub fn window(&self, window: &WindowResult) -> String {
        let WindowResult { start, end, closed_by, messages, sensors, ref groups, positions: _ } = *window;
        json(&Line::Window { start, end, closed_by, messages, sensors, groups: self.groups(groups) })
    }

    pub fn totals(&self, totals: &Totals) -> String {
        json(&self.totals_line(totals))
    }

    /// Writes the totals: the groups of a run can be many, and the line is never in memory as a whole.
    pub fn write_totals(&self, totals: &Totals, out: &mut impl io::Write) -> io::Result<()> {
        serde_json::to_writer(out, &self.totals_line(totals)).map_err(io::Error::from)
    }

    fn totals_line<'a>(&'a self, totals: &'a Totals) -> Line<'a> {
        let Totals { messages, counted, late, ref rejected, sensors, ref groups, groups_omitted } = *totals;
        Line::Totals { messages, counted, late, rejected, sensors, groups: self.groups(groups), groups_omitted }
    }

    fn groups<'a>(&'a self, groups: &'a [GroupResult]) -> Groups<'a> {
        Groups { member: &self.member, groups }
    }
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum Line<'a> {
    Window {
        #[serde(serialize_with = "time")]
        start: Millis,
        #[serde(serialize_with = "time")]
        end: Millis,
        #[serde(serialize_with = "text")]
        closed_by: ClosedBy,
        messages: u64,
        sensors: u64,
        groups: Groups<'a>,
    },
    Totals {
        messages: u64,
        counted: u64,
        late: u64,
        #[serde(serialize_with = "reasons")]
        rejected: &'a RejectedCounts,
        sensors: u64,
        groups: Groups<'a>,
        #[serde(skip_serializing_if = "is_none")]
        groups_omitted: u64,
    },
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
fn is_none(count: &u64) -> bool {
    *count == 0
}

struct Groups<'a> {
    member: &'a str,
    groups: &'a [GroupResult],
}

impl Serialize for Groups<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.groups.iter().map(|result| Group { member: self.member, result }))
    }
}

struct Group<'a> {
    member: &'a str,
    result: &'a GroupResult,
}

impl Serialize for Group<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let GroupResult { group, messages, sensors, sum, avg, min, max } = self.result;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry(self.member, group)?;
        map.serialize_entry("messages", messages)?;
        map.serialize_entry("sensors", sensors)?;
        map.serialize_entry("sum", &Decimal(*sum))?;
        for (name, value) in [("avg", avg), ("min", min), ("max", max)] {
            map.serialize_entry(name, &Decimal::from(*value))?;
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use isotherm_engine::results::ClosedBy;
    use isotherm_model::fixed::Fixed;
    use isotherm_model::rejection::{RejectedCounts, Rejection};

    use super::*;

    fn lines(group: &str) -> JsonLines {
        JsonLines::new(&Pointer::parse(group).expect("a pointer"))
    }

    fn ak() -> GroupResult {
        GroupResult {
            group: "AK".to_owned(),
            messages: 55,
            sensors: 27,
            sum: 1_420_500_000,
            avg: Fixed::from_micros(25_827_273),
            min: Fixed::from_micros(20_300_000),
            max: Fixed::from_micros(31_800_000),
        }
    }

    fn window() -> WindowResult {
        WindowResult {
            start: 1_795_341_600_000,
            end: 1_795_341_603_000,
            closed_by: ClosedBy::Watermark,
            messages: 55,
            sensors: 27,
            groups: vec![ak()],
            positions: vec![(0, 55)],
        }
    }

    #[test]
    fn the_lines_are_byte_for_byte_those_of_the_documents() {
        let totals = Totals { messages: 55, counted: 55, sensors: 27, groups: vec![ak()], ..Totals::default() };
        let golden = include_str!("golden.jsonl");
        let (window, totals) = (lines("/state").window(&window()), lines("/state").totals(&totals));
        assert_eq!(format!("{window}\n{totals}\n"), golden);
    }

    #[test]
    fn milliseconds_reasons_and_names_of_any_kind() {
        let (lines, mut window) = (lines("/a/the \"kind\"~1~0"), window());
        (window.start, window.end, window.closed_by) = (-1, 250, ClosedBy::Idle);
        window.groups[0].group = "\u{1}\\é".to_owned();
        window.groups.push(ak());
        assert_eq!(
            lines.window(&window),
            concat!(
                r#"{"type":"window","start":"1969-12-31T23:59:59.999Z","end":"1970-01-01T00:00:00.250Z","#,
                r#""closed_by":"idle","messages":55,"sensors":27,"groups":["#,
                r#"{"the \"kind\"/~":"\u0001\\é","messages":55,"sensors":27,"sum":1420.5,"avg":25.827273,"min":20.3,"max":31.8},"#,
                r#"{"the \"kind\"/~":"AK","messages":55,"sensors":27,"sum":1420.5,"avg":25.827273,"min":20.3,"max":31.8}]}"#,
            )
        );
        let mut rejected = RejectedCounts::default();
        rejected.add(Rejection::Future, 2);
        rejected.add(Rejection::NotJson, 1);
        let mut totals = Totals { messages: 4, late: 1, rejected, ..Totals::default() };
        assert_eq!(
            lines.totals(&totals),
            r#"{"type":"totals","messages":4,"counted":0,"late":1,"rejected":{"not-json":1,"future":2},"sensors":0,"groups":[]}"#
        );
        totals.groups_omitted = 1_001;
        let said = lines.totals(&totals);
        assert!(said.ends_with(r#""sensors":0,"groups":[],"groups_omitted":1001}"#), "{said}");
        let mut written = Vec::new();
        lines.write_totals(&totals, &mut written).expect("a vector takes all");
        assert_eq!(written, said.into_bytes());
    }
}

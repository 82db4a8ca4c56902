//! Results as JSON lines: the bytes that documents promise.
//!
//! ```text
//! {"type":"window","start":…,"end":…,"closed_by":…,"messages":…,"sensors":…,"groups":[…]}
//! {"type":"totals","messages":…,"counted":…,"late":…,"rejected":{…},"sensors":…,"groups":[…]}
//! ```
//!
//! A group is `{"state":"AK","messages":…,"sensors":…,"sum":…,"avg":…,"min":…,"max":…}`, where `state` is the last name
//! of the group's pointer. No white space; numbers carry at most six decimals and no trailing zeros; times are UTC, with
//! milliseconds only where there are any; `rejected` names the reasons that occurred, in the order of
//! [`Rejection::ALL`](isotherm_model::rejection::Rejection::ALL).

use std::fmt::{self, Display, Formatter};

use isotherm_engine::results::{GroupResult, Totals, WindowResult};
use isotherm_model::fixed::Micros;
use isotherm_model::json::Quoted;
use isotherm_model::schema::Pointer;
use isotherm_model::time::Utc;

use super::Reasons;

/// Writes results as JSON lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JsonLines {
    /// The group's member, quoted.
    member: String,
}

impl JsonLines {
    /// For groups that stand at this pointer in a reading.
    pub fn new(group: &Pointer) -> Self {
        Self { member: Quoted(group.last()).to_string() }
    }

    /// A window's line, without the line feed. Printing costs a few dozen bytes a group.
    pub fn window<'a>(&'a self, window: &'a WindowResult) -> impl Display + 'a {
        WindowLine(&self.member, window)
    }

    /// The totals' line, without the line feed.
    pub fn totals<'a>(&'a self, totals: &'a Totals) -> impl Display + 'a {
        TotalsLine(&self.member, totals)
    }
}

struct WindowLine<'a>(&'a str, &'a WindowResult);

impl Display for WindowLine<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self(member, WindowResult { start, end, closed_by, messages, sensors, groups, positions: _ }) = self;
        let (start, end) = (Utc(*start), Utc(*end));
        write!(f, r#"{{"type":"window","start":"{start}","end":"{end}","closed_by":"{closed_by}","#)?;
        write!(f, r#""messages":{messages},"sensors":{sensors},"groups":{}}}"#, GroupList(member, groups))
    }
}

struct TotalsLine<'a>(&'a str, &'a Totals);

impl Display for TotalsLine<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self(member, Totals { messages, counted, late, rejected, sensors, groups }) = self;
        let rejected = Reasons(rejected);
        write!(
            f,
            r#"{{"type":"totals","messages":{messages},"counted":{counted},"late":{late},"rejected":{rejected},"#
        )?;
        write!(f, r#""sensors":{sensors},"groups":{}}}"#, GroupList(member, groups))
    }
}

struct GroupList<'a>(&'a str, &'a [GroupResult]);

impl Display for GroupList<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("[")?;
        for (i, GroupResult { group, messages, sensors, sum, avg, min, max }) in self.1.iter().enumerate() {
            let (comma, member, name, sum) = (if i == 0 { "" } else { "," }, self.0, Quoted(group), Micros(*sum));
            write!(f, r#"{comma}{{{member}:{name},"messages":{messages},"sensors":{sensors},"#)?;
            write!(f, r#""sum":{sum},"avg":{avg},"min":{min},"max":{max}}}"#)?;
        }
        f.write_str("]")
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
        let (window, totals) =
            (lines("/state").window(&window()).to_string(), lines("/state").totals(&totals).to_string());
        assert_eq!(format!("{window}\n{totals}\n"), golden);
    }

    #[test]
    fn milliseconds_reasons_and_names_of_any_kind() {
        let (lines, mut window) = (lines("/a/the \"kind\"~1~0"), window());
        (window.start, window.end, window.closed_by) = (-1, 250, ClosedBy::Idle);
        window.groups[0].group = "\u{1}\\é".to_owned();
        window.groups.push(ak());
        assert_eq!(
            lines.window(&window).to_string(),
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
        let totals = Totals { messages: 4, late: 1, rejected, ..Totals::default() };
        assert_eq!(
            lines.totals(&totals).to_string(),
            r#"{"type":"totals","messages":4,"counted":0,"late":1,"rejected":{"not-json":1,"future":2},"sensors":0,"groups":[]}"#
        );
    }
}

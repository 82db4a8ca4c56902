//! A YAML text as a tree in which everything knows its place. What a topology has no use for (anchors, tags, several
//! documents) is refused, and so is a name that stands twice.

use std::collections::HashMap;

use isotherm_terminal::text::printable;
use saphyr_parser::{Event, Parser, ScalarStyle, Span};

use super::error::{Place, Problems};

/// The deepest that lists and sections may be nested: far beyond any setting.
const MAX_DEPTH: usize = 32;

/// A value and its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Node {
    pub(super) place: Place,
    pub(super) value: Value,
}

/// What a value can be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    /// A text; `plain` if it stands without quotes.
    Text {
        text: String,
        plain: bool,
    },
    List(Vec<Node>),
    Section(Vec<Entry>),
}

/// A name and its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) place: Place,
    pub(super) node: Node,
}

/// A list or section that has begun.
enum Open {
    List(Vec<Node>),
    Section(OpenSection),
}

/// A section that has begun.
#[derive(Default)]
struct OpenSection {
    entries: Vec<Entry>,
    /// In which line each name stands.
    lines: HashMap<String, usize>,
    /// A name whose value comes next.
    name: Option<(String, Place)>,
}

/// Reads a text into its tree. `None` if it is no YAML or has no content; the problems then say so.
pub(super) fn read(text: &str, problems: &mut Problems) -> Option<Node> {
    if text.starts_with('\u{feff}') {
        let what = "the file begins with a byte order mark, over which the `fluvio` command stumbles; save it without";
        problems.add(Place { line: 1, column: 1 }, what);
        return None;
    }
    let (mut root, mut open): (Option<Node>, Vec<(Place, Open)>) = (None, Vec::new());
    for event in Parser::new_from_str(text) {
        let (event, span) = match event {
            Ok(event) => event,
            Err(error) => {
                let marker = error.marker();
                let place = Place { line: marker.line(), column: marker.col() + 1 };
                problems.add(place, format!("this is no YAML: {}", error.info()));
                return None;
            }
        };
        let place = start(span);
        let complete = match event {
            Event::DocumentStart(_) if root.is_some() => {
                problems.add(place, "a second document begins here; keep one");
                return None;
            }
            Event::Alias(_) => {
                problems.add(place, "aliases (`*name`) are not supported; write the value out");
                return None;
            }
            Event::Scalar(_, _, anchor, ref tag)
            | Event::SequenceStart(anchor, ref tag)
            | Event::MappingStart(anchor, ref tag)
                if anchor != 0 || tag.is_some() =>
            {
                problems.add(place, "anchors (`&name`) and tags (`!name`) are not supported; leave them out");
                return None;
            }
            Event::SequenceStart(..) | Event::MappingStart(..) if open.len() >= MAX_DEPTH => {
                problems.add(place, "this is nested deeper than any setting");
                return None;
            }
            Event::SequenceStart(..) => {
                open.push((place, Open::List(Vec::new())));
                None
            }
            Event::MappingStart(..) => {
                open.push((place, Open::Section(OpenSection::default())));
                None
            }
            Event::Scalar(text, style, ..) => {
                let plain = style == ScalarStyle::Plain;
                Some(Node { place, value: Value::Text { text: text.into_owned(), plain } })
            }
            Event::SequenceEnd | Event::MappingEnd => open.pop().map(|(place, open)| match open {
                Open::List(items) => Node { place, value: Value::List(items) },
                Open::Section(section) => Node { place, value: Value::Section(section.entries) },
            }),
            _ => None,
        };
        if let Some(node) = complete {
            attach(node, &mut root, &mut open, problems)?;
        }
    }
    if root.is_none() {
        problems.add(
            Place { line: 1, column: 1 },
            "the file is empty; `isotherm-consumer topology` shows what can stand in it",
        );
    }
    root
}

/// Puts a complete node where it belongs.
fn attach(node: Node, root: &mut Option<Node>, open: &mut [(Place, Open)], problems: &mut Problems) -> Option<()> {
    match open.last_mut() {
        None => *root = Some(node),
        Some((_, Open::List(items))) => items.push(node),
        Some((_, Open::Section(OpenSection { entries, lines, name }))) => match (name.take(), node.value) {
            (None, Value::Text { text, .. }) => *name = Some((text, node.place)),
            (None, _) => {
                problems.add(node.place, "a name must be a text");
                return None;
            }
            (Some((name, place)), value) => {
                if let Some(line) = lines.get(&name) {
                    let name = printable(&name);
                    let what = format!("`{name}` stands twice in its section, first in line {line}; keep one");
                    problems.add(place, what);
                } else {
                    // Where nothing stands, the name is the place to look at.
                    let nothing = matches!(&value, Value::Text { text, plain: true } if text.is_empty());
                    let node = Node { place: if nothing { place } else { node.place }, value };
                    lines.insert(name.clone(), place.line);
                    entries.push(Entry { name, place, node });
                }
            }
        },
    }
    Some(())
}

fn start(span: Span) -> Place {
    Place { line: span.start.line(), column: span.start.col() + 1 }
}

impl Value {
    /// Whether nothing stands there, or only white space.
    pub(super) fn is_empty(&self) -> bool {
        match self {
            Self::Text { text, .. } => text.trim().is_empty(),
            Self::List(items) => items.is_empty(),
            Self::Section(entries) => entries.is_empty(),
        }
    }

    /// What a reader of the file would call it.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Text { .. } => "a text",
            Self::List(_) => "a list",
            Self::Section(_) => "a section",
        }
    }
}

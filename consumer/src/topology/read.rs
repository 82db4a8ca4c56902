//! From a tree to a topology: our sections, beside Fluvio's.

use std::fmt::Display;
use std::path::PathBuf;
use std::time::Duration;

use isotherm_kafka::SettingValue;
use isotherm_model::duration::parse_duration;
use isotherm_model::schema::{BadGroups, BadSchema, Groups, Pointer, Schema, ValueRange};
use isotherm_model::settings::{MaxAhead, Settings};
use isotherm_model::window::WindowSize;

use super::error::{Problems, TopologyError};
use super::section::{Section, text};
use super::yaml::{Node, Value};
use super::{Combine, StoreKind, Topology, check, fluvio, transform, yaml};

/// Reads the text of a file called `file`.
pub(super) fn topology(source: &str, file: &str) -> Result<Topology, TopologyError> {
    let mut problems = Problems::default();
    let topology = yaml::read(source, &mut problems).and_then(|root| read(&root, source, &mut problems));
    match topology {
        Some(topology) if problems.is_empty() => Ok(topology),
        _ => Err(problems.into_error(file)),
    }
}

fn read(root: &Node, source: &str, problems: &mut Problems) -> Option<Topology> {
    let mut file = Section::new("", root, problems)?;
    let mut topology = Topology::default();
    fluvio::sections(&mut file, source, &mut topology, problems);
    let transforms = file.take("transforms");
    if let Some(section) = file.take_section("reading", problems) {
        topology.settings.schema = reading(section, problems);
    }
    if let Some(section) = file.take_section("windows", problems) {
        windows(section, &mut topology, problems);
    }
    let store = file.take_text("store", problems, StoreKind::parse);
    topology.store = store.map_or(topology.store, |(store, _)| store);
    let combine = file.take_text("combine", problems, Combine::parse);
    topology.combine_is_given = combine.is_some();
    topology.combine = combine.map_or(topology.combine, |(combine, _)| combine);
    topology.source = file.take("source").map_or_else(Vec::new, |entry| sources(&entry.node, problems));
    if let Some(section) = file.take_section("kafka", problems) {
        kafka(section, &mut topology, problems);
    }
    file.finish(problems);
    if let Some(transforms) = transforms {
        let module = transform::read(transforms, &topology.settings, problems);
        topology.module = module.unwrap_or(topology.module);
    }
    Some(topology)
}

/// `source`: a text, or a list of them.
fn sources(node: &Node, problems: &mut Problems) -> Vec<String> {
    let nodes = match &node.value {
        Value::List(items) => items.as_slice(),
        _ => std::slice::from_ref(node),
    };
    nodes.iter().filter_map(|node| text("source", node, problems)).map(str::to_owned).collect()
}

/// `kafka`: librdkafka's settings. A value can be a file's or a variable's content: `{file: PATH}`, `{env: NAME}`.
fn kafka(section: Section<'_>, topology: &mut Topology, problems: &mut Problems) {
    for entry in section.rest() {
        let path = format!("kafka.{}", entry.name);
        let value = match &entry.node.value {
            Value::Section(of) => match of.as_slice() {
                [one] if one.name == "file" => {
                    text(&path, &one.node, problems).map(|file| SettingValue::File(PathBuf::from(file)))
                }
                [one] if one.name == "env" => {
                    text(&path, &one.node, problems).map(|name| SettingValue::Env(name.to_owned()))
                }
                _ => {
                    problems.add(entry.place, format!("`{path}` must be a text, {{file: PATH}} or {{env: NAME}}"));
                    None
                }
            },
            _ => text(&path, &entry.node, problems).map(|text| SettingValue::Text(text.to_owned())),
        };
        if let Some(Err(error)) = value.map(|value| topology.kafka.set(&entry.name, value)) {
            problems.add(entry.place, error.to_string());
        }
    }
}

/// `reading`: where sensor, group, time and value stand, and what counts.
fn reading(mut section: Section<'_>, problems: &mut Problems) -> Schema {
    let Schema { sensor, group, time, value, groups, range } = Schema::default();
    let place = section.place;
    let sensor = section.take_text("sensor", problems, Pointer::parse).unwrap_or((sensor, place));
    let group = section.take_text("group", problems, Pointer::parse).unwrap_or((group, place));
    let time = section.take_text("time", problems, Pointer::parse).unwrap_or((time, place));
    let value = section.take_text("value", problems, Pointer::parse).unwrap_or((value, place));
    let groups = section.take("groups").and_then(|entry| known_groups(&entry.node, problems)).unwrap_or(groups);
    let range = section.take_section("range", problems).map_or(range, |section| value_range(section, problems));
    section.finish(problems);
    let schema = Schema { sensor: sensor.0, group: group.0, time: time.0, value: value.0, groups, range };
    if let Err(error) = schema.check() {
        let of = |name: &str| match name {
            "sensor" => sensor.1,
            "group" => group.1,
            "time" => time.1,
            _ => value.1,
        };
        let place = match &error {
            BadSchema::ReservedGroup(_) => group.1,
            BadSchema::TextAndNumber { text, .. } => of(text).max(value.1),
            BadSchema::Nested { outer_name, inner_name, .. } => of(outer_name).max(of(inner_name)),
        };
        problems.add(place, format!("`reading`: {error}"));
    }
    schema
}

fn known_groups(node: &Node, problems: &mut Problems) -> Option<Groups> {
    let groups = match &node.value {
        Value::List(items) => {
            let names = items.iter().map(|item| text("reading.groups", item, problems));
            let names = names.collect::<Option<Vec<_>>>()?;
            Groups::list(names.into_iter().map(str::to_owned))
        }
        _ => match text("reading.groups", node, problems)? {
            "us-states" => Ok(Groups::UsStates),
            "any" => Ok(Groups::Any),
            other => Err(BadGroups::Unknown(other.to_owned())),
        },
    };
    groups.map_err(|error| problems.add(node.place, format!("`reading.groups`: {error}"))).ok()
}

fn value_range(mut section: Section<'_>, problems: &mut Problems) -> ValueRange {
    let default = ValueRange::default();
    let place = section.place;
    let min = section.take_text("min", problems, ValueRange::parse_bound).unwrap_or((default.min, place));
    let max = section.take_text("max", problems, ValueRange::parse_bound).unwrap_or((default.max, place));
    section.finish(problems);
    ValueRange::new(min.0, max.0).unwrap_or_else(|error| {
        problems.add(min.1.max(max.1), format!("`reading.range`: {error}"));
        default
    })
}

/// `windows`: size, grace, idle, max-ahead.
fn windows(mut section: Section<'_>, topology: &mut Topology, problems: &mut Problems) {
    let Topology { settings: Settings { window, max_ahead, .. }, grace, idle, .. } = topology;
    *window = length(&mut section, "size", problems, WindowSize::new).unwrap_or(*window);
    *grace = length(&mut section, "grace", problems, check::grace).unwrap_or(*grace);
    *idle = length(&mut section, "idle", problems, check::idle).unwrap_or(*idle);
    *max_ahead = length(&mut section, "max-ahead", problems, MaxAhead::check).unwrap_or(*max_ahead);
    section.finish(problems);
}

/// Takes a length of time.
fn length<T, E: Display>(
    section: &mut Section<'_>,
    name: &'static str,
    problems: &mut Problems,
    check: fn(Duration) -> Result<T, E>,
) -> Option<T> {
    let length = section.take_text(name, problems, |text| {
        parse_duration(text)
            .map_err(|error| error.to_string())
            .and_then(|length| check(length).map_err(|error| error.to_string()))
    });
    length.map(|(length, _)| length)
}

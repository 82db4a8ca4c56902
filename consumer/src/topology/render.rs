//! A topology as text and as a Mermaid flow chart: source, module, windows and sinks.

use std::fmt::Display;

use isotherm_model::duration::DurationText;
use isotherm_model::schema::Groups;
use isotherm_terminal::text::printable;

use super::{Combine, Topology};
use crate::log::kafka::address::KafkaAddress;

/// A paragraph for each part.
pub fn text(topology: &Topology) -> String {
    let Topology { settings, grace, idle, store, .. } = topology;
    let schema = &settings.schema;
    let line = |value: &dyn Display| printable(&value.to_string()).into_owned();
    let (window, ahead) = (DurationText(settings.window.duration()), DurationText(settings.max_ahead));
    let (grace, idle) = (DurationText(*grace), DurationText(*idle));
    format!(
        "source   {source}\n\
         \u{20}        sensor at {sensor}, group at {group}, time at {time}, value at {value}\n\
         \u{20}        {groups}; values from {min} to {max}\n\
         {combine}: one partial for each batch of the log\n\
         \u{20}        readings up to {ahead} ahead of their log's time; settings {fingerprint}\n\
         windows  {window} each, aligned to the epoch; they close {grace} after their end\n\
         \u{20}        a partition that was read to its end and is idle for {idle} blocks nothing\n\
         store    {store}\n\
         sinks    standard output\n",
        combine = line(&combined_by(topology)),
        source = line(&source(topology)),
        sensor = line(&schema.sensor),
        group = line(&schema.group),
        time = line(&schema.time),
        value = line(&schema.value),
        groups = line(&groups(&schema.groups)),
        min = schema.range.min,
        max = schema.range.max,
        fingerprint = settings.fingerprint(),
        store = line(store),
    )
}

fn source(topology: &Topology) -> String {
    match topology.files {
        Some(_) => topology.topic.clone(),
        None => match topology.address().and_then(KafkaAddress::parse) {
            Some(Ok(kafka)) => format!("topic `{}` at {}", topology.topic, kafka.stored()),
            _ => format!("topic `{}`, {}", topology.topic, partitions(topology.partitions)),
        },
    }
}

/// A flow chart from left to right.
pub fn mermaid(topology: &Topology) -> String {
    let Topology { topic, module, settings, grace, idle, store, .. } = topology;
    let label = |lines: &[String]| lines.iter().map(|line| escaped(line)).collect::<Vec<_>>().join("<br/>");
    let source = label(&[format!("topic {topic}"), partitions(topology.partitions)]);
    let module = match topology.combine {
        Combine::Broker => module.clone(),
        Combine::Consumer => "the consumer".to_owned(),
    };
    let module = label(&[
        module,
        format!("by {} of {}", settings.schema.group, settings.schema.value),
        format!("sensor {}, time {}", settings.schema.sensor, settings.schema.time),
    ]);
    let windows = label(&[
        format!("windows of {}", DurationText(settings.window.duration())),
        format!("grace {}, idle {}", DurationText(*grace), DurationText(*idle)),
    ]);
    let store = label(&[format!("store: {store}")]);
    format!(
        "flowchart LR\n\
         \u{20}   source[(\"{source}\")] -- batches --> module[\"{module}\"]\n\
         \u{20}   module -- partials --> windows[\"{windows}\"]\n\
         \u{20}   windows -- commits --> store[(\"{store}\")]\n\
         \u{20}   store -- closed windows, totals --> sinks[\"standard output\"]\n"
    )
}

fn combined_by(Topology { combine, module, .. }: &Topology) -> String {
    match combine {
        Combine::Broker => format!("module   {module}"),
        Combine::Consumer => "combine  in the consumer".to_owned(),
    }
}

/// A number of partitions in words.
pub(crate) fn partitions(count: u32) -> String {
    if count == 1 { "1 partition".to_owned() } else { format!("{count} partitions") }
}

fn groups(groups: &Groups) -> String {
    match groups {
        Groups::UsStates => "groups: the US states, DC and the territories".to_owned(),
        Groups::Any => "groups: any".to_owned(),
        Groups::List(_) => format!("groups: {groups}"),
    }
}

/// A text within a quoted Mermaid label.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in printable(text).chars() {
        match character {
            '#' | '"' | '<' | '>' | '&' | '`' => safe.push_str(&format!("#{};", u32::from(character))),
            other => safe.push(other),
        }
    }
    safe
}

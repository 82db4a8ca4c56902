//! Fluvio's own sections: `version`, `meta`, `partition`, `retention`, `compression`, `deduplication`.
//!
//! They are read by Fluvio's own parser, as `fluvio topic create -c` does. What that passes over in silence, an unknown
//! or empty setting, is said here.

use std::convert::Infallible;

use fluvio_controlplane_metadata::topic::config::TopicConfig;

use super::Topology;
use super::check::{partitions, topic};
use super::error::{Place, Problems};
use super::section::Section;

/// Sections and their settings; those within the settings are Fluvio's to check.
const SECTIONS: [(&str, &[&str]); 4] = [
    ("partition", &["count", "max-size", "replication", "ignore-rack-assignment", "maps"]),
    ("retention", &["time", "segment-size"]),
    ("compression", &["type"]),
    ("deduplication", &["bounds", "filter"]),
];

/// Takes Fluvio's sections out of the file. `source` is the file's text.
pub(super) fn sections(file: &mut Section<'_>, source: &str, topology: &mut Topology, problems: &mut Problems) {
    let before = problems.len();
    file.take_text("version", problems, |_| Ok::<_, Infallible>(()));
    let name = meta(file, problems);
    let (mut any, mut count) = (false, None);
    for (section, settings) in SECTIONS {
        let Some(mut section) = file.take_section(section, problems) else {
            continue;
        };
        any = true;
        for setting in settings {
            let Some(entry) = section.take(setting) else { continue };
            if entry.node.value.is_empty() {
                let path = section.path(setting);
                problems.add(entry.node.place, format!("`{path}` is empty; give it a value, or leave it out"));
            } else if *setting == "count" {
                count = Some(entry.node.place);
            }
        }
        section.finish(problems);
    }
    // What is wrong already, Fluvio would say again in its words.
    if problems.len() > before {
        return;
    }
    match (name, source.parse::<TopicConfig>()) {
        (Some(name), Ok(config)) => take(config, name, count.unwrap_or(file.place), topology, problems),
        (Some(_), Err(error)) => problems.add_placed(format!("Fluvio cannot read its sections of this file: {error}")),
        (None, _) if any => {
            let what = "there is no `meta`, without which Fluvio cannot read its sections; add `meta: {name: sensors}`";
            problems.add(file.place, what);
        }
        (None, _) => {}
    }
}

/// `meta`: the topic's name.
fn meta(file: &mut Section<'_>, problems: &mut Problems) -> Option<String> {
    let before = problems.len();
    let mut meta = file.take_section("meta", problems)?;
    let name = meta.take_text("name", problems, |text| topic(text).map(str::to_owned));
    if name.is_none() && problems.len() == before {
        problems.add(meta.place, "`meta` lacks `name`; name the topic: `name: sensors`");
    }
    meta.finish(problems);
    name.map(|(name, _)| name)
}

/// Takes what Fluvio has read. `place` is that of the number of partitions.
fn take(config: TopicConfig, name: String, place: Place, topology: &mut Topology, problems: &mut Problems) {
    let count = match (&config.partition.maps, config.partition.count) {
        (Some(maps), Some(count)) if maps.len() != count as usize => {
            let maps = maps.len();
            let what =
                format!("`partition.count` is {count}, but `partition.maps` lists {maps}; leave one of them out");
            return problems.add(place, what);
        }
        (Some(maps), _) => u32::try_from(maps.len()).unwrap_or(u32::MAX),
        (None, count) => count.unwrap_or(1),
    };
    if let Err(error) = partitions(count) {
        problems.add(place, format!("`partition.count`: {error}"));
    }
    (topology.topic, topology.partitions, topology.topic_config) = (name, count, config);
}

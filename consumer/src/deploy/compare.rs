//! A topic that is there, against what the file says of it. Deploy does not change it, but says where it differs.

use std::time::Duration;

use fluvio::metadata::topic::TopicSpec;
use fluvio_controlplane_metadata::topic::config::{PartitionConfig, TopicConfig};
use isotherm_model::duration::DurationText;

/// In what the topic differs from what `file` says, each with what to do. What the file leaves out is not compared.
pub(super) fn differences(file: &str, declared: &TopicConfig, found: &TopicSpec) -> Vec<String> {
    let topic = &declared.meta.name;
    let wanted = TopicSpec::from(declared.clone());
    let mut said = Vec::new();
    // Fluvio takes 1 where there is no such section: that is not said by anybody.
    let counted = declared.partition.count.is_some() || declared.partition.maps.is_some();
    if counted && declared.partition != PartitionConfig::default() {
        said.extend(partitions(file, topic, wanted.replicas().partitions(), found.replicas().partitions()));
    }
    let lasting = lasting(&wanted, found);
    if !lasting.is_empty() {
        said.push(format!(
            "{file} says {}; Fluvio does not change that of a topic that is there. `fluvio topic delete {topic}` removes it \
             with its records; deploy then creates it as the file says",
            lasting.join(", ")
        ));
    }
    said
}

fn partitions(file: &str, topic: &str, wanted: u32, found: u32) -> Option<String> {
    let says = format!("{file} says {}", super::partitions(wanted));
    if wanted > found {
        let missing = wanted - found;
        return Some(format!("{says}; `fluvio topic add-partition {topic} --count {missing}` adds what is missing"));
    }
    (wanted < found).then(|| format!("{says}; a topic never loses partitions: let the file say {found}"))
}

/// What a topic keeps as it was created with.
fn lasting(wanted: &TopicSpec, found: &TopicSpec) -> Vec<String> {
    let age = |spec: &TopicSpec| spec.get_clean_policy().map(|policy| u64::from(policy.retention_secs()));
    let storage = |spec: &TopicSpec| spec.get_storage().cloned().unwrap_or_default();
    let (kept, asked) = (storage(found), storage(wanted));
    let time = |seconds| DurationText(Duration::from_secs(seconds)).to_string();
    let size = |bytes: u64| format!("{bytes} bytes");
    let own = |segment: Option<u32>| segment.map(u64::from);
    let settings = [
        differs("retention.time", age(wanted), age(found), time),
        differs("retention.segment-size", own(asked.segment_size), own(kept.segment_size), size),
        differs("partition.max-size", asked.max_partition_size, kept.max_partition_size, size),
    ];
    settings.into_iter().flatten().collect()
}

/// A setting that the file gives, and that the topic has not or has otherwise.
fn differs(name: &str, wanted: Option<u64>, found: Option<u64>, text: impl Fn(u64) -> String) -> Option<String> {
    let asked = wanted.filter(|_| wanted != found)?;
    let there = found.map_or("has none".to_owned(), |found| format!("has {}", text(found)));
    Some(format!("`{name}` {} (the topic {there})", text(asked)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn declared(sections: &str) -> TopicConfig {
        format!("meta: {{name: t}}\n{sections}").parse().expect("Fluvio can read it")
    }

    #[track_caller]
    fn said(file: &str, topic: &str, wanted: &[&str]) {
        let said = differences("f.yaml", &declared(file), &declared(topic).into());
        let whole = said.len() == wanted.len() && said.iter().zip(wanted).all(|(said, part)| said.contains(part));
        assert!(whole, "said {said:#?}\nwanted {wanted:#?}");
    }

    #[test]
    fn only_what_the_file_says_is_compared() {
        let full = "partition: {count: 3, max-size: 1000000 B}\nretention: {time: 7d, segment-size: 100000 B}";
        for file in ["", "partition: {replication: 1}", "partition: {count: 3}", "retention: {time: 1week}", full] {
            said(file, full, &[]);
        }
        said(full, full, &[]);
    }

    #[test]
    fn partitions_are_named_with_the_command_that_adds_them() {
        said(
            "partition: {count: 5}",
            "partition: {count: 2}",
            &["f.yaml says 5 partitions; `fluvio topic add-partition t --count 3`"],
        );
        said(
            "partition: {count: 1}",
            "partition: {count: 2}",
            &["f.yaml says 1 partition; a topic never loses partitions: let the file say 2"],
        );
        let maps = "partition: {maps: [{id: 0, replicas: [1]}, {id: 1, replicas: [1]}]}";
        said(maps, "", &["f.yaml says 2 partitions"]);
    }

    #[test]
    fn retention_is_named_with_what_is_there() {
        let file = "partition: {count: 2, max-size: 1000000 B}\nretention: {time: 7d, segment-size: 100000 B}";
        said(
            file,
            "partition: {count: 2}\nretention: {time: 2h, segment-size: 100000 B}",
            &[
                "f.yaml says `retention.time` 7days (the topic has 2h), `partition.max-size` 1000000 bytes (the topic has none); \
               Fluvio does not change that of a topic that is there. `fluvio topic delete t`",
            ],
        );
        said(
            "partition: {count: 3}\nretention: {time: 7d}",
            "",
            &["--count 2`", "`retention.time` 7days (the topic has none)"],
        );
    }
}

//! Topics: made, enlarged, deleted, loaded.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use fluvio_controlplane_metadata::topic::{PartitionMap, ReplicaSpec, TopicSpec};
use fluvio_protocol::link::ErrorCode;
use fluvio_sc_schema::shared::validate_resource_name;
use serde::{Deserialize, Serialize};
use tracing::{info, warn};

use super::{Catalog, Refusal, SPU_ID, Topic, failed, files, storage};
use crate::NodeError;
use crate::log::{LogError, LogOptions, PartitionId, PartitionLog, Retention};

/// The system topic that every Fluvio cluster has. Here it has no log, since the node keeps no consumer offsets. But a
/// client that finds no topic at all when it connects waits a minute for one.
const CONSUMER_OFFSET_TOPIC: &str = "consumer-offset";

const MAX_PARTITIONS: u32 = 1024;
const SETTINGS: &str = "topic.json";
const FORMAT: u32 = 1;

#[derive(Serialize, Deserialize)]
struct Settings {
    format: u32,
    spec: TopicSpec,
}

impl Catalog {
    pub(super) fn load_topics(&self) -> Result<BTreeMap<String, Topic>, NodeError> {
        let mut topics = BTreeMap::from([(CONSUMER_OFFSET_TOPIC.to_owned(), system_topic())]);
        for (name, path) in files::list(&self.topics_folder())? {
            let settings = path.join(SETTINGS);
            let unreadable = |reason: String| NodeError::Unreadable { path: settings.clone(), reason };
            let bytes = std::fs::read(&settings).map_err(|error| unreadable(error.to_string()))?;
            let parsed: Settings = serde_json::from_slice(&bytes).map_err(|error| unreadable(error.to_string()))?;
            if parsed.format != FORMAT {
                return Err(unreadable(format!("format {} is unknown", parsed.format)));
            }
            let logs = self.logs(&name, &path, 0..parsed.spec.partitions(), &parsed.spec, PartitionLog::open)?;
            topics.insert(name, Topic { spec: parsed.spec, logs });
        }
        Ok(topics)
    }

    /// Checks whether a topic can be created.
    pub(crate) fn check_topic(&self, name: &str, spec: &TopicSpec) -> Result<(), Refusal> {
        validate_resource_name(name).map_err(|error| {
            Refusal::new(ErrorCode::TopicInvalidName, format!("Invalid topic name: '{name}'. {error}"))
        })?;
        if self.contents().topics.contains_key(name) {
            return Err(Refusal::new(ErrorCode::TopicAlreadyExists, format!("Topic '{name}' already exists")));
        }
        let invalid = |message: String| Err(Refusal::new(ErrorCode::TopicInvalidConfiguration, message));
        if let Some(message) = spec.validate_config() {
            return invalid(message);
        }
        if spec.get_deduplication().is_some() {
            return invalid("deduplication is not done by isotherm-node; leave it out, or use a Fluvio cluster".into());
        }
        if spec.is_system() {
            return invalid("isotherm-node makes no system topics; leave --system out".into());
        }
        match spec.replicas() {
            ReplicaSpec::Computed(param) if param.replication_factor != 1 => {
                return invalid(format!(
                    "isotherm-node is a single SPU and does not replicate: replication {} is not possible, use 1",
                    param.replication_factor
                ));
            }
            ReplicaSpec::Computed(_) => {}
            ReplicaSpec::Assigned(maps) => {
                if let Err(error) = maps.validate() {
                    return invalid(error.to_string());
                }
                if maps.maps().iter().any(|map| map.replicas != [SPU_ID] || map.mirror.is_some()) {
                    return invalid(format!(
                        "isotherm-node has one SPU: every partition's replicas must be [{SPU_ID}]"
                    ));
                }
            }
            ReplicaSpec::Mirror(_) => {
                return invalid("isotherm-node does not mirror topics; use a Fluvio cluster".into());
            }
        }
        check_partitions(spec.partitions())
    }

    /// Makes a topic and its logs. Blocks on the disk.
    pub(crate) fn create_topic(&self, name: &str, spec: TopicSpec) -> Result<(), Refusal> {
        let _change = self.one_change()?;
        self.check_topic(name, &spec)?;
        let folder = self.topics_folder();
        let made = tempfile::Builder::new().prefix(".new-").tempdir_in(&folder).map_err(storage)?;
        for number in 0..spec.partitions() {
            std::fs::create_dir(made.path().join(number.to_string())).map_err(storage)?;
        }
        // After the folders of the partitions, so that they are on the disk when it is.
        write_settings(made.path(), &spec)?;
        let path = folder.join(name);
        std::fs::rename(made.path(), &path).map_err(storage)?;
        let _ = made.keep(); // it has moved: there is nothing to remove
        files::sync_folder(&folder).map_err(storage)?;
        let logs = match self.logs(name, &path, 0..spec.partitions(), &spec, PartitionLog::create) {
            Ok(logs) => logs,
            Err(error) => {
                // For example because no file handle is left. A refused topic must not exist at the next start.
                if let Err(error) = files::remove(&path) {
                    warn!(topic = name, %error, "could not remove what was made of a topic; it is there at the next start");
                }
                return Err(failed(error));
            }
        };
        info!(topic = name, partitions = logs.len(), "created");
        self.update(|contents| {
            contents.topics.insert(name.to_owned(), Topic { spec, logs });
        });
        Ok(())
    }

    /// Gives a topic more partitions. Blocks on the disk.
    pub(crate) fn add_partitions(&self, name: &str, count: u32) -> Result<(), Refusal> {
        let _change = self.one_change()?;
        let Some(mut topic) = self.contents().topics.get(name).cloned() else {
            return Err(not_found(name));
        };
        if topic.spec.is_system() {
            let (kind, name) = ("topic".to_owned(), name.to_owned());
            let message = format!("{name} belongs to the node");
            return Err(Refusal::new(ErrorCode::SystemSpecUpdatingAttempt { kind, name }, message));
        }
        if count == 0 {
            return Err(Refusal::new(ErrorCode::TopicInvalidConfiguration, "give at least one partition to add"));
        }
        let before = topic.spec.partitions();
        let after = before.saturating_add(count);
        check_partitions(after)?;
        topic.spec.set_replicas(match topic.spec.replicas() {
            ReplicaSpec::Assigned(maps) => {
                let mut maps = maps.maps().clone();
                maps.extend((before..after).map(|id| PartitionMap { id, replicas: vec![SPU_ID], mirror: None }));
                ReplicaSpec::new_assigned(maps)
            }
            _ => ReplicaSpec::new_computed(after, 1, None),
        });
        let path = self.topics_folder().join(name);
        let logs = self.logs(name, &path, before..after, &topic.spec, PartitionLog::create).map_err(failed)?;
        files::sync_folder(&path).map_err(storage)?;
        write_settings(&path, &topic.spec)?;
        topic.logs.extend(logs);
        info!(topic = name, partitions = after, "enlarged");
        self.update(|contents| {
            contents.topics.insert(name.to_owned(), topic);
        });
        Ok(())
    }

    /// Deletes a topic, ends its readers, and removes its files. Blocks on the disk.
    pub(crate) fn delete_topic(&self, name: &str, force: bool) -> Result<(), Refusal> {
        let _change = self.one_change()?;
        let Some(topic) = self.contents().topics.get(name).cloned() else {
            return Err(not_found(name));
        };
        if topic.spec.is_system() {
            if force {
                return Err(Refusal::new(ErrorCode::TopicError, format!("{name} belongs to the node and stays")));
            }
            let (kind, name) = ("topic".to_owned(), name.to_owned());
            let message = format!("{name} is a system topic");
            return Err(Refusal::new(ErrorCode::SystemSpecDeletionAttempt { kind, name }, message));
        }
        let folder = self.topics_folder();
        // A fresh name, since a topic of this name may be created and deleted again before the removal is done.
        let removed = tempfile::Builder::new().prefix(".deleted-").tempdir_in(&folder).map_err(storage)?;
        std::fs::rename(folder.join(name), removed.path().join(name)).map_err(storage)?;
        files::sync_folder(&folder).map_err(storage)?;
        info!(topic = name, "deleted");
        self.update(|contents| {
            contents.topics.remove(name);
        });
        for log in &topic.logs {
            log.mark_deleted();
        }
        if let Err(error) = removed.close() {
            warn!(topic = name, %error, "could not remove all files of a deleted topic; the next start tries again");
        }
        Ok(())
    }

    /// The logs of a topic's partitions, by number; `open` opens or makes one.
    fn logs(
        &self,
        topic: &str,
        path: &Path,
        numbers: std::ops::Range<u32>,
        spec: &TopicSpec,
        open: impl Fn(PartitionId, PathBuf, LogOptions) -> Result<PartitionLog, LogError>,
    ) -> Result<Vec<Arc<PartitionLog>>, NodeError> {
        let own = spec.get_storage().and_then(|storage| storage.segment_size).map(u64::from);
        let retention = Retention {
            age: spec.get_clean_policy().map(|policy| Duration::from_secs(policy.retention_secs().into())),
            bytes: spec.get_storage().and_then(|storage| storage.max_partition_size),
        };
        let options = LogOptions { segment_bytes: own.unwrap_or(self.segment_bytes), fsync: self.fsync, retention };
        let one = |number: u32| {
            let id = PartitionId { topic: topic.to_owned(), number };
            Ok(Arc::new(open(id, path.join(number.to_string()), options)?))
        };
        numbers.map(one).collect()
    }

    fn topics_folder(&self) -> PathBuf {
        self.data.join("topics")
    }
}

fn system_topic() -> Topic {
    let mut spec = TopicSpec::new_computed(1, 1, None);
    spec.set_system(true);
    Topic { spec, logs: Vec::new() }
}

fn check_partitions(count: u32) -> Result<(), Refusal> {
    if (1..=MAX_PARTITIONS).contains(&count) {
        return Ok(());
    }
    let message = format!("{count} partitions are not possible: a topic has 1 to {MAX_PARTITIONS}");
    Err(Refusal::new(ErrorCode::TopicInvalidConfiguration, message))
}

fn write_settings(folder: &Path, spec: &TopicSpec) -> Result<(), Refusal> {
    let bytes = serde_json::to_vec_pretty(&Settings { format: FORMAT, spec: spec.clone() }).map_err(storage)?;
    files::replace(&folder.join(SETTINGS), &bytes).map_err(storage)
}

fn not_found(name: &str) -> Refusal {
    Refusal::new(ErrorCode::TopicNotFound, format!("topic '{name}' not found"))
}

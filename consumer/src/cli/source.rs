//! Where readings come from: `--source`, `--cluster`, and `source` of the topology.

use std::os::unix::fs::MetadataExt;
use std::path::{self, Path};

use isotherm_files::InputFormat;
use isotherm_kafka::{BadSetting, Settings};

use super::flags::{Place, RunFlags};
use crate::log::files::address::{FilesAddress, STDIN};
use crate::log::kafka::address::{KafkaAddress, SCHEME};
use crate::topology::{Combine, StoreKind, Topology};

/// What cannot be read together, or so.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum SourceError {
    /// Several, of which one is a cluster.
    #[error("the sources {} cannot be read together: name one cluster, or files only", .0.join(", "))]
    Mixed(Vec<String>),
    /// One file, two times, by one name or by two.
    #[error("the source {0} is named twice, and would be counted twice; name it once")]
    Twice(String),
    /// An address without its kind.
    #[error("there is no file {0}; if it is the address of a cluster, write fluvio://{0}")]
    Address(String),
    /// Not a path that can be kept.
    #[error("the path of {0} cannot be told: {1}")]
    Path(String, String),
    /// A flag that is of clusters.
    #[error("{flag} names a topic of a cluster, and {files} is none; leave it out")]
    OfTopics {
        /// The flag.
        flag: &'static str,
        /// What is read.
        files: String,
    },
    /// `combine: broker`.
    #[error(
        "`combine: broker` is not possible with {0}: no broker holds it; leave it out, or write `combine: consumer`"
    )]
    Broker(String),
    /// Standard input with something that would need it again.
    #[error(
        "standard input cannot be read a second time, and {0} would need that; write it to a file, and name that with --source FILE"
    )]
    Again(&'static str),
    /// Where to begin in what is read to its end.
    #[error("--from end leaves nothing to read of files that are not followed; leave it out")]
    FromEnd,
    /// `--follow` of what cannot be followed.
    #[error("{0}")]
    Follow(&'static str),
    /// `--leave-open` in a run without an end.
    #[error("--leave-open leaves windows open at the end of a run, and this one has none; add --until-end")]
    NoEnd,
    /// An address of Kafka, or a setting.
    #[error("{0}")]
    Kafka(String),
    /// A setting of Kafka's.
    #[error(transparent)]
    Setting(#[from] BadSetting),
    /// Flags of Kafka without Kafka.
    #[error("{0} is of a source in Kafka, and none is named; leave it out, or give --source kafka://HOST:PORT")]
    NoKafka(&'static str),
    /// What is not possible with Kafka.
    #[error("{0}")]
    NotInKafka(&'static str),
    /// `--input-format` without files.
    #[error("--input-format is of files, and no file is named; leave it out")]
    NoFiles,
}

impl SourceError {
    /// Whether only flags are wrong.
    pub(super) const fn is_usage(&self) -> bool {
        true
    }
}

/// What flags, and else the topology, say of the source.
pub(super) enum Source {
    /// An address, as [`crate::log::open`] takes it; `None` for the current Fluvio profile's cluster.
    Cluster(Option<String>),
    /// A Kafka cluster.
    Kafka(KafkaAddress),
    /// Files.
    Files(FilesAddress),
}

impl Source {
    /// What the flags of a place say, and else what the topology does.
    pub(super) fn of(place: &Place, topology: &[String], kafka: &Settings) -> Result<Self, SourceError> {
        let source = Self::named(place, topology)?;
        let flag = match (&*place.kafka_setting, &place.consumer_group) {
            ([_, ..], _) => Some("--kafka-setting"),
            ([], Some(_)) => Some("--consumer-group"),
            ([], None) => None,
        };
        match (source, flag) {
            (Self::Kafka(mut address), _) => {
                address.settings = kafka.clone();
                for (name, value) in &place.kafka_setting {
                    address.settings.set(name, value.clone())?;
                }
                address.group = place.consumer_group.clone().unwrap_or(address.group);
                Ok(Self::Kafka(address))
            }
            (_, Some(flag)) => Err(SourceError::NoKafka(flag)),
            (source, None) => Ok(source),
        }
    }

    fn named(place: &Place, topology: &[String]) -> Result<Self, SourceError> {
        if let Some(cluster) = &place.cluster {
            return Ok(Self::Cluster(Some(cluster.clone())));
        }
        let sources = if place.source.is_empty() { topology } else { &place.source };
        let format = place.input_format.map_or(InputFormat::Auto, Into::into);
        match sources {
            [] if place.input_format.is_some() => Err(SourceError::NoFiles),
            [] => Ok(Self::Cluster(None)),
            [one] if one.starts_with(SCHEME) => match KafkaAddress::read(one) {
                Some(Ok(address)) => Ok(Self::Kafka(address)),
                Some(Err(wrong)) => Err(SourceError::Kafka(wrong)),
                None => Ok(Self::Cluster(Some(one.clone()))),
            },
            [one] if one.contains("://") => Ok(Self::Cluster(Some(one.clone()))),
            several if several.iter().any(|one| one.contains("://")) => Err(SourceError::Mixed(several.to_vec())),
            files => {
                let mut paths: Vec<String> = Vec::with_capacity(files.len());
                for file in files {
                    let path = absolute(file)?;
                    if paths.iter().any(|other| is_same(other, &path)) {
                        return Err(SourceError::Twice(file.clone()));
                    }
                    paths.push(path);
                }
                Ok(Self::Files(FilesAddress { paths, format, follow: false }))
            }
        }
    }
}

impl Source {
    /// As [`crate::log::open`] takes it.
    pub(super) fn address(self) -> Option<String> {
        match self {
            Self::Cluster(address) => address,
            Self::Kafka(address) => Some(address.text()),
            Self::Files(files) => Some(files.text()),
        }
    }
}

/// Whether two paths lead to the same file, as far as can be told now.
fn is_same(a: &str, b: &str) -> bool {
    let number =
        |path: &str| std::fs::metadata(path).ok().filter(|file| file.is_file()).map(|file| (file.dev(), file.ino()));
    a == b || number(a).is_some_and(|of| Some(of) == number(b))
}

/// A path that means the same from any folder.
fn absolute(file: &str) -> Result<String, SourceError> {
    if file == STDIN {
        return Ok(STDIN.to_owned());
    }
    let port =
        file.rsplit_once(':').and_then(|(host, port)| (!host.is_empty()).then(|| port.parse::<u16>().ok())).flatten();
    if port.is_some() && !Path::new(file).exists() {
        return Err(SourceError::Address(file.to_owned()));
    }
    let failed = |reason: String| SourceError::Path(file.to_owned(), reason);
    let absolute = path::absolute(Path::new(file)).map_err(|error| failed(error.to_string()))?;
    absolute.into_os_string().into_string().map_err(|_| failed("it is no UTF-8".to_owned()))
}

/// Sets what follows for a topology from its source, whose address is then [`Topology::address`].
pub(super) fn apply(place: &Place, run: Option<&RunFlags>, topology: &mut Topology) -> Result<(), SourceError> {
    let follow = run.is_some_and(|run| run.follow);
    let mut files = match Source::of(place, &topology.source, &topology.kafka)? {
        Source::Kafka(address) => return kafka(place, run, address, topology),
        Source::Cluster(address) => {
            if follow {
                let what = "--follow is of files and standard input: a topic is always followed, unless --until-end says otherwise";
                return Err(SourceError::Follow(what));
            }
            if run.is_some_and(|run| run.leave_open && !run.until_end) {
                return Err(SourceError::NoEnd);
            }
            topology.source = address.into_iter().collect();
            return Ok(());
        }
        Source::Files(files) => files,
    };
    let name = files.name();
    if place.topic.is_some() {
        return Err(SourceError::OfTopics { flag: "--topic", files: name });
    }
    if topology.combine_is_given && topology.combine == Combine::Broker {
        return Err(SourceError::Broker(name));
    }
    if files.has_stdin() {
        if matches!(topology.store, StoreKind::File(_)) {
            return Err(SourceError::Again("a store"));
        }
        topology.store = StoreKind::Memory;
    }
    if let Some(run) = run {
        files.follow = follow;
        check_run(run, &files, &name)?;
        if !follow && topology.store == StoreKind::Default {
            topology.store = StoreKind::Memory;
        }
    }
    topology.combine = Combine::Consumer;
    topology.source = vec![files.text()];
    topology.topic = name;
    topology.files = Some(!follow);
    Ok(())
}

/// What follows of a source in Kafka.
fn kafka(
    place: &Place,
    run: Option<&RunFlags>,
    mut address: KafkaAddress,
    topology: &mut Topology,
) -> Result<(), SourceError> {
    if topology.combine_is_given && topology.combine == Combine::Broker {
        return Err(SourceError::Broker(address.stored()));
    }
    if let Some(run) = run {
        let not = if run.dead_letters.is_some() {
            Some("--dead-letters copies to Fluvio topics from Fluvio topics only; leave it out")
        } else if run.follow {
            Some(
                "--follow is of files and standard input: a topic is always followed, unless --until-end says otherwise",
            )
        } else {
            None
        };
        if let Some(not) = not {
            return Err(SourceError::NotInKafka(not));
        }
        if run.leave_open && !run.until_end {
            return Err(SourceError::NoEnd);
        }
    }
    if place.consumer_group.is_none() {
        address.group = format!("isotherm-{}-{}", topology.topic, topology.settings.fingerprint());
    }
    topology.combine = Combine::Consumer;
    topology.source = vec![address.text()];
    Ok(())
}

fn check_run(run: &RunFlags, files: &FilesAddress, name: &str) -> Result<(), SourceError> {
    if run.dead_letters.is_some() && files.has_stdin() {
        return Err(SourceError::Again("--dead-letters"));
    }
    if run.dead_letters.is_some() {
        return Err(SourceError::OfTopics { flag: "--dead-letters", files: name.to_owned() });
    }
    if run.from.is_some_and(|from| from == super::flags::FromFlag::End) && !files.follow {
        return Err(SourceError::FromEnd);
    }
    Ok(())
}

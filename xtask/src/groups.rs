//! Groups of integration tests that need tools of their own: one row each in [`GROUPS`].
//!
//! With `CI=true` a group whose tools are missing gets them installed, or it is an error. Otherwise its tests are left out, and named at
//! the end with the command that installs the tools.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::Error;
use crate::tools::{self, Tool};
use crate::{paths, process};

/// A group of tests.
struct Group {
    name: &'static str,
    tools: &'static [Tool],
    /// How the names of its tests begin.
    prefix: &'static str,
    /// Fetches what else its tests need.
    prepare: fn() -> Result<(), Error>,
}

const GROUPS: [Group; 1] = [Group {
    name: "kafka",
    tools: &[Tool::program("Java", &["java"], "default-jre-headless"), Tool::program("Maven", &["mvn"], "maven")],
    prefix: "kafka::",
    prepare: kafka_broker,
}];

/// What is left out.
#[derive(Default)]
pub(crate) struct Skipped {
    /// Arguments of the test binaries.
    pub(crate) args: Vec<String>,
    /// What to say at the end.
    pub(crate) said: Vec<String>,
}

/// Prepares the groups of which tests may be run, and says which cannot be.
pub(crate) fn prepare(filter: Option<&str>) -> Result<Skipped, Error> {
    let mut skipped = Skipped::default();
    for group in &GROUPS {
        if filter.is_some_and(|filter| !may_match(filter, group)) {
            continue;
        }
        let missing = tools::missing(group.tools);
        if missing.is_empty() {
            (group.prepare)()?;
            continue;
        }
        let (names, command) = (tools::names(&missing), tools::command(&missing));
        let needs = format!("the tests of the group `{}` need {names}", group.name);
        if std::env::var("CI").is_ok_and(|ci| ci == "true") {
            if !tools::can_install() {
                return Err(format!("{needs}: install it with: {command}"));
            }
            tools::install(&needs, &missing)?;
            (group.prepare)()?;
        } else {
            skipped.args.extend(["--skip".to_owned(), group.prefix.to_owned()]);
            skipped
                .said
                .push(format!("not run: the group `{}`, which needs {names}; install it with: {command}", group.name));
        }
    }
    Ok(skipped)
}

/// Whether a filter can match a test of a group. One of another group or module has its name before `::`.
fn may_match(filter: &str, group: &Group) -> bool {
    match filter.split_once("::") {
        Some((module, _)) => group.prefix.trim_end_matches(':') == module,
        None => true,
    }
}

/// The variable that tells the tests of another folder of jars.
pub(crate) const KAFKA: &str = "ISOTHERM_KAFKA";

/// The folder of the broker's jars.
pub(crate) fn kafka_jars() -> PathBuf {
    std::env::var_os(KAFKA).map_or_else(|| paths::target().join("kafka"), PathBuf::from)
}

/// Fetches the broker's jars, unless they are there for this pom, or another folder is named.
fn kafka_broker() -> Result<(), Error> {
    let pom = paths::root().join("tests/kafka-broker/pom.xml");
    let (jars, stamp) = (kafka_jars(), paths::target().join("kafka.pom.xml"));
    if std::env::var_os(KAFKA).is_some() {
        return Ok(());
    }
    let failed = |error: std::io::Error| format!("{}: {error}", pom.display());
    let wanted = fs::read(&pom).map_err(failed)?;
    if jars.is_dir() && fs::read(&stamp).is_ok_and(|fetched| fetched == wanted) {
        return Ok(());
    }
    process::say("xtask: fetching the Kafka broker of the tests from Maven Central\n");
    let output = format!("-DoutputDirectory={}", jars.display());
    let _ = fs::remove_dir_all(&jars);
    process::run(
        Command::new("mvn").args(["-q", "-B", "-f"]).arg(&pom).args(["dependency:copy-dependencies", &output]),
    )?;
    fs::write(&stamp, wanted).map_err(|error| format!("{}: {error}", stamp.display()))
}

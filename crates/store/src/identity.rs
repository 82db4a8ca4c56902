//! What a store is of: a topic and the settings it is read with; and the run that it holds.

use isotherm_model::settings::{Fingerprint, Settings};
use isotherm_model::time::Millis;
use rusqlite::Connection;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::files::now_text;
use super::row::Table;
use crate::error::DbError;

const IDENTITY: Table<2> = Table { name: "identity", columns: ["id", "value"] };

/// What a consumer wants its store to be of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Subject {
    /// The topic's name.
    pub topic: String,
    /// The cluster, for information only: an address may change.
    pub cluster: String,
    /// The text that the settings' fingerprint is a digest of ([`Settings::fingerprint`]).
    pub settings: String,
    /// The digest of the settings.
    #[serde(with = "FingerprintValue")]
    pub fingerprint: Fingerprint,
    /// The length of windows, in milliseconds.
    pub window: Millis,
}

impl Subject {
    /// A topic, read with these settings.
    pub fn new(topic: impl Into<String>, cluster: impl Into<String>, settings: &Settings) -> Self {
        let (fingerprint, window) = (settings.fingerprint(), settings.window.millis());
        Self { topic: topic.into(), cluster: cluster.into(), settings: settings.canonical(), fingerprint, window }
    }

    /// In what another one differs, if it does: what, there, here.
    pub(super) fn difference(&self, stored: &Self) -> Option<(String, String, String)> {
        if stored.topic != self.topic {
            let (stored, asked) = quoted(&stored.topic, &self.topic);
            return Some(("topic".to_owned(), stored, asked));
        }
        let mut lines = stored.settings.lines().zip(self.settings.lines());
        if let Some((stored, asked)) = lines.find(|(stored, asked)| stored != asked) {
            let parts = |line: &str| {
                let (name, rest) = line.split_once(' ').unwrap_or((line, ""));
                let value = rest.split_once(' ').map_or(rest, |(_, value)| value);
                (name.to_owned(), value.to_owned())
            };
            let ((name, stored), (_, asked)) = (parts(stored), parts(asked));
            let (stored, asked) = quoted(&stored, &asked);
            return Some((name, stored, asked));
        }
        if stored.window != self.window {
            return Some(("window".to_owned(), format!("{} ms", stored.window), format!("{} ms", self.window)));
        }
        let differs = stored.settings != self.settings || stored.fingerprint != self.fingerprint;
        differs.then(|| ("configuration".to_owned(), stored.fingerprint.to_string(), self.fingerprint.to_string()))
    }
}

/// Two texts, of long ones (a list of groups can be) as much as shows where they part.
fn quoted(stored: &str, asked: &str) -> (String, String) {
    /// So much is shown, so much of it from before they part.
    const MOST: usize = 80;
    const BEFORE: usize = 30;
    let long = [stored, asked].iter().any(|text| text.chars().count() > MOST);
    let same = stored.chars().zip(asked.chars()).take_while(|(stored, asked)| stored == asked).count();
    let from = if long { same.saturating_sub(BEFORE) } else { 0 };
    let part = |text: &str| {
        let shown: String = text.chars().skip(from).take(MOST).collect();
        let (before, after) = (from > 0, text.chars().count() > from.saturating_add(MOST));
        let dots = |cut| if cut { "…" } else { "" };
        format!("`{}{shown}{}`", dots(before), dots(after))
    };
    (part(stored), part(asked))
}

/// What a store is of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Identity {
    /// Topic and settings.
    pub subject: Subject,
    /// The run: made with the store, the same over all restarts.
    #[serde(with = "uuid_text")]
    pub run: Uuid,
    /// When the store was made, as text, for information only.
    pub created: String,
}

impl Identity {
    /// Of a store that is being made.
    pub(super) fn new(subject: &Subject) -> Self {
        let run = Uuid::new_v4();
        let created = now_text();
        Self { subject: subject.clone(), run, created }
    }

    pub(super) fn read(connection: &Connection) -> Result<Self, DbError> {
        IDENTITY.only(connection)
    }

    pub(super) fn write(&self, connection: &Connection) -> Result<(), DbError> {
        IDENTITY.write_only(connection, self)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Fingerprint")]
struct FingerprintValue(u64);

/// As text.
mod uuid_text {
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};
    use uuid::Uuid;

    pub(super) fn serialize<S: Serializer>(id: &Uuid, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(id)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Uuid, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_late_in_a_long_list_is_shown() {
        let sites = |last: &str| (0..40).map(|site| format!("\"site-{site:03}\",")).collect::<String>() + last;
        let (stored, asked) = quoted(&sites("\"north\"]"), &sites("\"south\"]"));
        assert_eq!(stored, "`…e-037\",\"site-038\",\"site-039\",\"north\"]`");
        assert_eq!(asked, "`…e-037\",\"site-038\",\"site-039\",\"south\"]`");
        let (stored, asked) = quoted(&sites(""), "any");
        assert!(stored.starts_with("`\"site-000") && stored.ends_with("…`"), "{stored}");
        assert_eq!(asked, "`any`");
        assert_eq!(quoted("3s", "5s"), ("`3s`".to_owned(), "`5s`".to_owned()));
    }

    #[test]
    fn the_settings_text_is_what_the_fingerprint_is_of() {
        let subject = Subject::new("t", "c", &Settings::default());
        assert_eq!(xxhash_rust::xxh3::xxh3_64(subject.settings.as_bytes()), subject.fingerprint.0);
    }
}

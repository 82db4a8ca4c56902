//! librdkafka's settings, by their own names.
//!
//! All are passed through but those that would make a count wrong, and those that flags of ours say. Secrets come from a file or a
//! variable of the environment, are read when a client is made, and are never printed.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

/// Settings that this program makes itself, and why.
const OURS: [(&str, &str); 19] = [
    ("bootstrap.servers", "the address says it"),
    ("metadata.broker.list", "the address says it"),
    ("group.id", "--consumer-group says it"),
    ("client.id", "it is this program's name"),
    ("enable.auto.commit", "the store keeps offsets"),
    ("enable.auto.offset.store", "the store keeps offsets"),
    ("auto.commit.enable", "the store keeps offsets"),
    ("auto.offset.reset", "an offset that is not there must be an error"),
    ("isolation.level", "only what is committed counts"),
    ("enable.partition.eof", "a partition's end must be known"),
    ("allow.auto.create.topics", "a topic that is not there must be an error"),
    ("check.crcs", "a damaged record must be an error"),
    ("enable.idempotence", "no record may be sent twice"),
    ("acks", "no record may be lost"),
    ("request.required.acks", "no record may be lost"),
    ("partitioner", "keys go to the partitions of Java's client"),
    ("max.in.flight.requests.per.connection", "records stay in their order"),
    ("transactional.id", "it is the store's"),
    ("plugin.library.paths", "plug-ins can change records"),
];

/// Settings that hold a secret.
const SECRET: [&str; 8] = [
    "sasl.password",
    "ssl.key.password",
    "ssl.key.pem",
    "ssl.keystore.password",
    "sasl.oauthbearer.client.secret",
    "sasl.oauthbearer.config",
    "sasl.oauthbearer.assertion.private.key.passphrase",
    "sasl.oauthbearer.assertion.private.key.pem",
];

/// What a setting is set to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum SettingValue {
    /// This.
    Text(String),
    /// What a file holds, without a last line end.
    File(PathBuf),
    /// What a variable of the environment holds.
    Env(String),
}

/// Why a setting cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadSetting {
    /// It is one that this program makes itself.
    #[error("the Kafka setting `{name}` cannot be given: {why}")]
    Ours {
        /// Which.
        name: String,
        /// Why not.
        why: &'static str,
    },
    /// A secret that everybody could read.
    #[error("the Kafka setting `{0}` is a secret: give it in fluvio.yaml as `{{file: PATH}}` or `{{env: NAME}}`")]
    OpenSecret(String),
    /// Its file or variable cannot be read.
    #[error("the Kafka setting `{name}` cannot be read from {place}: {reason}")]
    Unreadable {
        /// Which.
        name: String,
        /// The file or the variable.
        place: String,
        /// Why.
        reason: String,
    },
    /// librdkafka does not take it.
    #[error("the Kafka settings cannot be used: {0}; see librdkafka's CONFIGURATION.md")]
    Refused(String),
}

/// Settings by name.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Settings(BTreeMap<String, SettingValue>);

impl fmt::Debug for Settings {
    /// Names alone.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl Settings {
    /// Adds a setting, or replaces it.
    ///
    /// # Errors
    /// It is one of ours, or a secret in plain text.
    pub fn set(&mut self, name: &str, value: SettingValue) -> Result<(), BadSetting> {
        if let Some((_, why)) = OURS.iter().find(|(ours, _)| *ours == name) {
            return Err(BadSetting::Ours { name: name.to_owned(), why });
        }
        if SECRET.contains(&name) && matches!(value, SettingValue::Text(_)) {
            return Err(BadSetting::OpenSecret(name.to_owned()));
        }
        self.0.insert(name.to_owned(), value);
        Ok(())
    }

    /// Names and values, ascending by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &SettingValue)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// Names and what they are set to, secrets read.
    pub(crate) fn resolved(&self) -> Result<Vec<(&str, String)>, BadSetting> {
        self.iter().map(|(name, value)| Ok((name, value.read(name)?))).collect()
    }
}

impl SettingValue {
    fn read(&self, name: &str) -> Result<String, BadSetting> {
        let unreadable =
            |place: String, reason: String| BadSetting::Unreadable { name: name.to_owned(), place, reason };
        match self {
            Self::Text(text) => Ok(text.clone()),
            Self::File(path) => {
                let text = std::fs::read_to_string(path);
                let text = text.map_err(|error| unreadable(path.display().to_string(), error.to_string()))?;
                Ok(text.trim_end_matches(['\n', '\r']).to_owned())
            }
            Self::Env(variable) => {
                std::env::var(variable).map_err(|error| unreadable(format!("${variable}"), error.to_string()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_break_exactness_and_open_secrets_are_refused() {
        let mut settings = Settings::default();
        for (name, _) in OURS {
            let refused = settings.set(name, SettingValue::Text("x".to_owned()));
            assert!(matches!(refused, Err(BadSetting::Ours { .. })), "{name}");
        }
        for name in SECRET {
            let refused = settings.set(name, SettingValue::Text("x".to_owned()));
            assert_eq!(refused, Err(BadSetting::OpenSecret(name.to_owned())));
        }
        assert_eq!(settings, Settings::default());
    }

    #[test]
    fn secrets_are_read_and_not_shown() {
        let folder = std::env::temp_dir().join(format!("isotherm-kafka-{}", std::process::id()));
        std::fs::write(&folder, "from a file\n").unwrap();
        let mut settings = Settings::default();
        settings.set("sasl.password", SettingValue::File(folder.clone())).unwrap();
        settings.set("fetch.min.bytes", SettingValue::Text("5".to_owned())).unwrap();
        let resolved = settings.resolved();
        std::fs::remove_file(&folder).unwrap();
        let wanted = vec![("fetch.min.bytes", "5".to_owned()), ("sasl.password", "from a file".to_owned())];
        assert_eq!(resolved, Ok(wanted));
        assert_eq!(format!("{settings:?}"), r#"{"fetch.min.bytes", "sasl.password"}"#);
        settings.set("sasl.password", SettingValue::Env("ISOTHERM_NO_SUCH_VARIABLE".to_owned())).unwrap();
        let error = settings.resolved().unwrap_err().to_string();
        assert!(error.contains("$ISOTHERM_NO_SUCH_VARIABLE"), "{error}");
    }
}

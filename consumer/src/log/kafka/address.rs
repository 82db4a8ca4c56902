//! A Kafka cluster as an address: the text that a run, a store and `verify` know it by.

use isotherm_kafka::{SettingValue, Settings};
use serde_json::{Map, Value, json};

/// How addresses of Kafka clusters begin.
pub(crate) const SCHEME: &str = "kafka://";

/// Brokers, and how they are asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KafkaAddress {
    /// `HOST:PORT` each, ascending.
    servers: Vec<String>,
    /// Secrets stand here as names of files and variables.
    pub(crate) settings: Settings,
    /// The consumer group that is shown how far a run has come.
    pub(crate) group: String,
}

impl KafkaAddress {
    /// Reads `kafka://HOST:PORT[,HOST:PORT…]`; `None` if it is another kind of address.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn read(text: &str) -> Option<Result<Self, String>> {
        let servers = text.strip_prefix(SCHEME)?;
        let mut servers: Vec<String> = servers.split(',').map(str::to_owned).collect();
        let wrong = servers.iter().find(|server| !is_server(server)).cloned();
        servers.sort();
        servers.dedup();
        Some(match wrong {
            None => Ok(Self { servers, settings: Settings::default(), group: "isotherm".to_owned() }),
            Some(wrong) => Err(format!("`{wrong}` is no HOST:PORT; write kafka://HOST:PORT[,HOST:PORT…]")),
        })
    }

    /// As a store knows it, and as people write it.
    pub(crate) fn stored(&self) -> String {
        format!("{SCHEME}{}", self.servers())
    }

    /// As librdkafka takes it.
    pub(crate) fn servers(&self) -> String {
        self.servers.join(",")
    }

    /// As an address, settings included.
    pub(crate) fn text(&self) -> String {
        let setting = |(name, value): (&str, &SettingValue)| {
            let value = match value {
                SettingValue::Text(text) => json!(text),
                SettingValue::File(path) => json!({ "file": path }),
                SettingValue::Env(name) => json!({ "env": name }),
            };
            (name.to_owned(), value)
        };
        let settings: Map<String, Value> = self.settings.iter().map(setting).collect();
        format!("{}?{}", self.stored(), json!({ "group": self.group, "settings": settings }))
    }

    /// Reads what [`KafkaAddress::text`] or [`KafkaAddress::stored`] give; `None` if it is of another kind of log.
    pub(crate) fn parse(text: &str) -> Option<Result<Self, String>> {
        let (address, more) = text.split_once('?').map_or((text, None), |(address, more)| (address, Some(more)));
        let mut address = match Self::read(address)? {
            Ok(address) => address,
            Err(wrong) => return Some(Err(wrong)),
        };
        let Some(more) = more else {
            return Some(Ok(address));
        };
        Some(address.add(more).map(|()| address))
    }

    fn add(&mut self, more: &str) -> Result<(), String> {
        let more: Value = serde_json::from_str(more).map_err(|error| error.to_string())?;
        if let Some(group) = more["group"].as_str() {
            group.clone_into(&mut self.group);
        }
        for (name, value) in more["settings"].as_object().into_iter().flatten() {
            let value = match (value.as_str(), value["file"].as_str(), value["env"].as_str()) {
                (Some(text), ..) => SettingValue::Text(text.to_owned()),
                (_, Some(path), _) => SettingValue::File(path.into()),
                (.., Some(name)) => SettingValue::Env(name.to_owned()),
                _ => return Err(format!("`{name}` is set to no text")),
            };
            self.settings.set(name, value).map_err(|error| error.to_string())?;
        }
        Ok(())
    }
}

fn is_server(text: &str) -> bool {
    let port = text.rsplit_once(':').filter(|(host, _)| !host.is_empty() && !host.contains(['/', ' ', '?']));
    port.is_some_and(|(_, port)| port.parse::<u16>().is_ok_and(|port| port > 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_reads_back() {
        let mut address = KafkaAddress::read("kafka://b:9092,a:1,[::1]:2").unwrap().unwrap();
        assert_eq!(address.stored(), "kafka://[::1]:2,a:1,b:9092");
        address.group = "é\"?".to_owned();
        for (name, value) in [
            ("fetch.min.bytes", SettingValue::Text("5?{}".to_owned())),
            ("sasl.password", SettingValue::File("/a b".into())),
            ("ssl.key.password", SettingValue::Env("X".to_owned())),
        ] {
            address.settings.set(name, value).unwrap();
        }
        assert_eq!(KafkaAddress::parse(&address.text()), Some(Ok(address)));
        for wrong in ["kafka://", "kafka://a", "kafka://a:0", "kafka://a:1,", "kafka://a:x", "kafka://a/b:1"] {
            assert!(matches!(KafkaAddress::parse(wrong), Some(Err(_))), "{wrong}");
        }
        assert_eq!(KafkaAddress::parse("fluvio://a:1"), None);
    }
}

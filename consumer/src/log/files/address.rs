//! Files as an address: the text that a run, a store and `verify` know them by.

use std::path::PathBuf;

use isotherm_files::{Input, InputFormat};

/// How standard input is named.
pub(crate) const STDIN: &str = "-";

/// Files in their order, and how they are read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilesAddress {
    /// Absolute paths, or [`STDIN`].
    pub(crate) paths: Vec<String>,
    /// What they hold.
    pub(crate) format: InputFormat,
    /// Whether reading goes on at their ends.
    pub(crate) follow: bool,
}

impl FilesAddress {
    /// Reads what [`FilesAddress::text`] gives; `None` if the address is of another kind of log.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (text, follow) = text.strip_prefix("follow:").map_or((text, false), |text| (text, true));
        let (text, format) = if let Some(text) = text.strip_prefix("lines:") {
            (text, InputFormat::Lines)
        } else if let Some(text) = text.strip_prefix("array:") {
            (text, InputFormat::Array)
        } else {
            (text, InputFormat::Auto)
        };
        Some(Self { paths: serde_json::from_str(text).ok()?, format, follow })
    }

    /// As an address.
    pub(crate) fn text(&self) -> String {
        let follow = if self.follow { "follow:" } else { "" };
        format!("{follow}{}", self.stored())
    }

    /// As a store knows it: whether they are followed is a run's own business.
    pub(crate) fn stored(&self) -> String {
        let format = match self.format {
            InputFormat::Auto => "",
            InputFormat::Lines => "lines:",
            InputFormat::Array => "array:",
        };
        format!("{format}{}", serde_json::Value::from(self.paths.clone()))
    }

    /// What people call them, and what a store must be of.
    pub(crate) fn name(&self) -> String {
        self.paths.iter().map(|path| named(path)).collect::<Vec<_>>().join(", ")
    }

    /// Whether standard input is among them.
    pub(crate) fn has_stdin(&self) -> bool {
        self.paths.iter().any(|path| path == STDIN)
    }

    /// One for each partition.
    pub(super) fn inputs(&self) -> Vec<Input> {
        let input = |path: &String| if path == STDIN { Input::Stdin } else { Input::File(PathBuf::from(path)) };
        self.paths.iter().map(input).collect()
    }
}

fn named(path: &str) -> String {
    if path == STDIN { "standard input".to_owned() } else { path.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_reads_back() {
        for format in [InputFormat::Auto, InputFormat::Lines, InputFormat::Array] {
            for follow in [false, true] {
                let paths = vec!["/a b\n\"c\"/é.jsonl".to_owned(), STDIN.to_owned()];
                let address = FilesAddress { paths, format, follow };
                assert_eq!(FilesAddress::parse(&address.text()), Some(address));
            }
        }
        for other in ["", "localhost:9003", "fluvio://a:1", "lines:a", "follow:"] {
            assert_eq!(FilesAddress::parse(other), None, "{other}");
        }
    }
}

//! Taking settings out of a section, one by one; what is left over is unknown.

use isotherm_terminal::text::printable;

use super::error::{Place, Problems};
use super::yaml::{Entry, Node, Value};

/// A section of the file whose settings are being taken.
#[derive(Debug)]
pub(super) struct Section<'a> {
    /// What errors call it: `windows.`, or nothing for the whole file.
    prefix: String,
    /// Where it begins.
    pub(super) place: Place,
    left: Vec<&'a Entry>,
    known: Vec<&'static str>,
}

impl<'a> Section<'a> {
    /// The section that `node` holds; a problem if it holds something else.
    pub(super) fn new(path: &str, node: &'a Node, problems: &mut Problems) -> Option<Self> {
        let prefix = if path.is_empty() { String::new() } else { format!("{path}.") };
        let name = if path.is_empty() { "the file".to_owned() } else { format!("`{path}`") };
        match &node.value {
            Value::Section(entries) if !entries.is_empty() => {
                let left = entries.iter().collect();
                Some(Self { prefix, place: node.place, left, known: Vec::new() })
            }
            Value::Section(_) | Value::Text { plain: true, .. } if node.value.is_empty() => {
                problems.add(node.place, format!("{name} is empty; give it a setting, or leave it out"));
                None
            }
            other => {
                problems.add(
                    node.place,
                    format!("{name} must be a section of settings (`name: value`), not {}", other.kind()),
                );
                None
            }
        }
    }

    /// A setting's full name.
    pub(super) fn path(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    /// Takes a setting, whatever it holds. Its name is known from now on.
    pub(super) fn take(&mut self, name: &'static str) -> Option<&'a Entry> {
        self.known.push(name);
        let at = self.left.iter().position(|entry| entry.name == name)?;
        Some(self.left.remove(at))
    }

    /// Takes a section within this one.
    pub(super) fn take_section(&mut self, name: &'static str, problems: &mut Problems) -> Option<Section<'a>> {
        let path = self.path(name);
        self.take(name).and_then(|entry| Section::new(&path, &entry.node, problems))
    }

    /// Takes a text and reads it. Answers the value and its place; a problem if it is empty or cannot be read.
    pub(super) fn take_text<T, E: std::fmt::Display>(
        &mut self,
        name: &'static str,
        problems: &mut Problems,
        read: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<(T, Place)> {
        let path = self.path(name);
        let node = &self.take(name)?.node;
        let text = text(&path, node, problems)?;
        match read(text) {
            Ok(value) => Some((value, node.place)),
            Err(error) => {
                problems.add(node.place, format!("`{path}`: {error}"));
                None
            }
        }
    }

    /// All that is left, whatever it is called.
    pub(super) fn rest(self) -> Vec<&'a Entry> {
        self.left
    }

    /// Says what is left over.
    pub(super) fn finish(self, problems: &mut Problems) {
        for entry in &self.left {
            let (path, known) = (self.path(&printable(&entry.name)), self.known.join(", "));
            let whole = if self.prefix.is_empty() { "the sections are" } else { "here can stand" };
            problems.add(entry.place, format!("`{path}` is unknown; {whole} {known}"));
        }
    }
}

/// The text that a node holds; a problem if it is empty or something else.
pub(super) fn text<'a>(path: &str, node: &'a Node, problems: &mut Problems) -> Option<&'a str> {
    match &node.value {
        Value::Text { text, .. } if text.trim().is_empty() => {
            problems.add(node.place, format!("`{path}` is empty; give it a value, or leave it out"));
            None
        }
        Value::Text { text, .. } => Some(text),
        other => {
            problems.add(node.place, format!("`{path}` must be one value, not {}", other.kind()));
            None
        }
    }
}

//! The text parameters of a module: names and values, each name once, none of them unknown.

use std::collections::BTreeSet;
use std::fmt;

use crate::duration::{BadDuration, parse_duration};
use crate::schema::{BadGroups, BadPointer, BadRange, BadSchema, Groups, Pointer, Schema, ValueRange};
use crate::settings::{BadMaxAhead, MaxAhead, Settings};
use crate::window::{BadWindowSize, WindowSize};

/// What is wrong with a module's parameters.
#[allow(missing_docs, reason = "each message says it")]
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadParams {
    #[error("the parameter `{name}` is unknown; the parameters are {known}")]
    Unknown { name: String, known: Names },
    #[error("the parameter `{0}` is given twice; give it once")]
    Repeated(String),
    #[error("the parameter `{0}` is empty; give it a value, or leave it out for the default")]
    Empty(String),
    #[error("the parameter `{name}` is wrong: {reason}")]
    Wrong { name: &'static str, reason: WrongValue },
    #[error("the parameters contradict each other: {0}")]
    Contradiction(Contradiction),
}

/// Why a parameter's value is not possible.
#[allow(missing_docs, reason = "each message says it")]
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WrongValue {
    /// Not a pointer.
    #[error(transparent)]
    Pointer(#[from] BadPointer),
    /// A pointer that the group cannot have.
    #[error(transparent)]
    Group(BadSchema),
    /// Not groups.
    #[error(transparent)]
    Groups(#[from] BadGroups),
    /// Not a bound.
    #[error(transparent)]
    Bound(#[from] BadRange),
    /// Not a length of time.
    #[error(transparent)]
    Duration(#[from] BadDuration),
    /// With the text as it was given.
    #[error("`{0}` is not possible; {hint}", hint = BadWindowSize::HINT)]
    Window(String, #[source] BadWindowSize),
    /// With the text as it was given.
    #[error("`{0}` is not possible; {hint}", hint = BadMaxAhead::HINT)]
    MaxAhead(String, #[source] BadMaxAhead),
    #[error("`{value}` is not possible; use {words}")]
    Word { value: String, words: Names },
}

/// Which parameters contradict each other.
#[allow(missing_docs, reason = "each message says it")]
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Contradiction {
    /// Pointers.
    #[error(transparent)]
    Schema(#[from] BadSchema),
    /// `min` and `max`.
    #[error(transparent)]
    Range(#[from] BadRange),
    #[error("`{name}` needs `{other}`")]
    Needs { name: &'static str, other: &'static str },
}

/// A list of names, printed with commas.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names(pub Vec<&'static str>);

impl fmt::Display for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, name) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str(", ")?;
            }
            f.write_str(name)?;
        }
        Ok(())
    }
}

/// Parameters of a module. The module takes its own ones out by name; [`Params::into_settings`] takes the others, and none may be
/// left over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Params {
    given: Vec<(String, String)>,
    known: Vec<&'static str>,
}

impl Params {
    /// The parameters of [`Settings`].
    pub const SETTINGS: [&str; 9] = ["sensor", "group", "time", "value", "groups", "min", "max", "window", "max-ahead"];

    /// Collects parameters; an error if a name is given twice or a value is empty.
    pub fn new<'a>(params: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self, BadParams> {
        let (mut given, mut names) = (Vec::new(), BTreeSet::new());
        for (name, value) in params {
            if !names.insert(name) {
                return Err(BadParams::Repeated(name.to_owned()));
            }
            if value.trim().is_empty() {
                return Err(BadParams::Empty(name.to_owned()));
            }
            given.push((name.to_owned(), value.to_owned()));
        }
        Ok(Self { given, known: Vec::new() })
    }

    /// Takes a parameter's value, if it is given, and adds its name to the known ones.
    pub fn take(&mut self, name: &'static str) -> Option<String> {
        self.known.push(name);
        let index = self.given.iter().position(|(given, _)| given == name)?;
        Some(self.given.swap_remove(index).1)
    }

    /// Takes a parameter whose value is one of a few words.
    pub fn take_word<T: Copy>(
        &mut self,
        name: &'static str,
        words: &[(&'static str, T)],
    ) -> Result<Option<T>, BadParams> {
        let Some(value) = self.take(name) else { return Ok(None) };
        match words.iter().find(|(word, _)| *word == value) {
            Some((_, meaning)) => Ok(Some(*meaning)),
            None => {
                let words = Names(words.iter().map(|(word, _)| *word).collect());
                Err(BadParams::Wrong { name, reason: WrongValue::Word { value, words } })
            }
        }
    }

    fn read<T, E: Into<WrongValue>>(
        &mut self,
        name: &'static str,
        default: T,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Result<T, BadParams> {
        match self.take(name) {
            None => Ok(default),
            Some(value) => parse(&value).map_err(|error| BadParams::Wrong { name, reason: error.into() }),
        }
    }

    /// The settings; an error if a name is left over.
    pub fn into_settings(mut self) -> Result<Settings, BadParams> {
        // An unknown name is reported first: it is most often a known one misspelt.
        if let Some((name, _)) = self.given.iter().find(|(name, _)| !Self::SETTINGS.contains(&name.as_str())) {
            self.known.splice(0..0, Self::SETTINGS);
            return Err(BadParams::Unknown { name: name.clone(), known: Names(self.known) });
        }
        let Settings { schema, window, max_ahead } = Settings::default();
        let (min, max) = (schema.range.min, schema.range.max);
        let schema = Schema {
            sensor: self.read("sensor", schema.sensor, Pointer::parse)?,
            group: self.read("group", schema.group, Pointer::parse)?,
            time: self.read("time", schema.time, Pointer::parse)?,
            value: self.read("value", schema.value, Pointer::parse)?,
            groups: self.read("groups", schema.groups, Groups::parse)?,
            range: {
                let min = self.read("min", min, ValueRange::parse_bound)?;
                let max = self.read("max", max, ValueRange::parse_bound)?;
                ValueRange::new(min, max).map_err(|error| BadParams::Contradiction(error.into()))?
            },
        };
        let window = self.read("window", window, |text| {
            WindowSize::new(parse_duration(text)?).map_err(|error| WrongValue::Window(text.to_owned(), error))
        })?;
        let max_ahead = self.read("max-ahead", max_ahead, |text| {
            MaxAhead::check(parse_duration(text)?).map_err(|error| WrongValue::MaxAhead(text.to_owned(), error))
        })?;
        schema.check().map_err(|error| match error {
            BadSchema::ReservedGroup(_) => BadParams::Wrong { name: "group", reason: WrongValue::Group(error) },
            _ => BadParams::Contradiction(error.into()),
        })?;
        Ok(Settings { schema, window, max_ahead })
    }
}

impl Settings {
    /// Reads the parameters of a module (see `docs/module-parameters.md`); what is not given is as in
    /// [`Settings::default`]. A parameter that is unknown, repeated, empty, wrong or contradicts another is an error.
    ///
    /// For a module with parameters beyond these, [`Params`] takes them out first.
    pub fn from_params<'a>(params: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self, BadParams> {
        Params::new(params)?.into_settings()
    }
}

/// What `window-stats` answers with: its parameter `output`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OutputFormat {
    /// Bytes, for the consumer.
    #[default]
    Binary,
    /// A line of JSON, for people.
    Json,
}

impl OutputFormat {
    /// Takes the parameter `output` (`binary`, the default, or `json`).
    pub fn take(params: &mut Params) -> Result<Self, BadParams> {
        let words = [("binary", Self::Binary), ("json", Self::Json)];
        Ok(params.take_word("output", &words)?.unwrap_or_default())
    }
}

#[cfg(test)]
mod tests;

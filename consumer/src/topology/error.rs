//! What is wrong with a topology: where it stands, and what would be right.

use std::fmt;

/// A place in a file; both count from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub line: usize,
    /// The column, in characters.
    pub column: usize,
}

/// Where a wrong setting was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// In a file.
    File {
        /// As it was named.
        name: String,
        /// Where in it; `None` if what is said names the place itself.
        place: Option<Place>,
    },
    /// By a flag.
    Flag(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { name, place: None } => f.write_str(name),
            Self::File { name, place: Some(Place { line, column }) } => write!(f, "{name}:{line}:{column}"),
            Self::Flag(flag) => f.write_str(flag),
        }
    }
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    pub origin: Origin,
    /// What it is, and what would be right.
    pub what: String,
}

/// Everything that is wrong with a topology: at least one problem, in the order of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopologyError {
    pub problems: Vec<Problem>,
}

impl fmt::Display for TopologyError {
    /// A line for each problem.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, Problem { origin, what }) in self.problems.iter().enumerate() {
            write!(f, "{}{origin}: {what}", if i == 0 { "" } else { "\n" })?;
        }
        Ok(())
    }
}

impl std::error::Error for TopologyError {}

/// The problems of one file, while it is read.
#[derive(Debug, Default)]
pub(super) struct Problems(Vec<(Option<Place>, String)>);

impl Problems {
    /// One more, at this place.
    pub(super) fn add(&mut self, place: Place, what: impl Into<String>) {
        self.0.push((Some(place), what.into()));
    }

    /// One more, which names its place itself.
    pub(super) fn add_placed(&mut self, what: impl Into<String>) {
        self.0.push((None, what.into()));
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All of them, in the order of the file.
    pub(super) fn into_error(mut self, file: &str) -> TopologyError {
        self.0.sort_by_key(|(place, _)| *place);
        let problem = |(place, what)| Problem { origin: Origin::File { name: file.to_owned(), place }, what };
        TopologyError { problems: self.0.into_iter().map(problem).collect() }
    }
}

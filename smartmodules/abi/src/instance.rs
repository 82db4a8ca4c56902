//! A module's one instance: its buffers, and what is done when the engine calls.

use isotherm_model::params::{BadParams, Params};

use crate::input::Batch;
use crate::output::{Kind, Output};
use crate::records::Damaged;
use crate::{LEAST_VERSION, params};

/// What a module does with batches.
pub trait Transform: Sized {
    /// What it is to the engine.
    const KIND: Kind;

    /// A transform with these parameters.
    fn new(params: Params) -> Result<Self, BadParams>;

    /// Adds the answer to a batch to the output, which has been begun. A batch that cannot be read is an error; then
    /// whatever was added is forgotten.
    fn transform(&mut self, batch: &Batch<'_>, output: &mut Output) -> Result<(), Damaged>;
}

/// What a call gives: a status, which is a number of records or a (negative) error, and whether the output is to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    /// The status.
    pub status: i32,
    /// Whether there is output.
    pub output: bool,
}

/// What the text of every error begins with that a batch ends with whose records cannot be told apart.
pub const DAMAGED: &str = "the batch that begins at offset ";

/// Statuses of the engine's protocol.
mod status {
    /// `init` says what is wrong in its output.
    pub(super) const INIT_ERROR: i32 = -2;
    /// `init` got what it cannot read.
    pub(super) const INIT_INPUT: i32 = -10;
    /// The transform got what it cannot read.
    pub(super) const BASE_INPUT: i32 = -11;
    /// The transform was called before `init`, or after one that failed.
    pub(super) const PARAMS: i32 = -44;
}

impl Answer {
    const fn status(status: i32) -> Self {
        Self { status, output: false }
    }
}

/// The buffers and the transform of a module.
#[derive(Debug)]
pub struct Instance<T> {
    input: Vec<u8>,
    output: Output,
    transform: Option<T>,
}

impl<T> Instance<T> {
    /// An instance that has not been initialized.
    pub const fn new() -> Self {
        Self { input: Vec::new(), output: Output::new(), transform: None }
    }

    /// Room for an input of so many bytes: the same for each call, larger where it must be.
    pub fn input(&mut self, len: usize) -> &mut [u8] {
        if self.input.len() < len {
            // The old room is given back before the new one is taken: nothing in it is needed any more.
            self.input = Vec::new();
            self.input.resize(len, 0);
        }
        self.input.get_mut(..len).unwrap_or_default()
    }

    /// The output of the last call.
    pub fn output(&self) -> &[u8] {
        self.output.bytes()
    }
}

impl<T> Default for Instance<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: Transform> Instance<T> {
    /// Makes the transform from the first `len` bytes of the input, which are the parameters.
    pub fn init(&mut self, len: usize, version: i32) -> Answer {
        self.transform = None;
        if version < LEAST_VERSION {
            self.output.refuse(&format!(
                "the engine speaks version {version} of its protocol, in which batches have no timestamp; this module needs version \
                 {LEAST_VERSION} or later: use a newer Fluvio"
            ));
            return Answer { status: status::INIT_ERROR, output: true };
        }
        let Some(given) = self.input.get(..len).and_then(params::read) else {
            return Answer::status(status::INIT_INPUT);
        };
        match Params::new(given).and_then(T::new) {
            Ok(transform) => {
                self.transform = Some(transform);
                Answer::status(0)
            }
            Err(error) => {
                self.output.refuse(&error.to_string());
                Answer { status: status::INIT_ERROR, output: true }
            }
        }
    }

    /// Answers to the first `len` bytes of the input, which are a batch.
    pub fn call(&mut self, len: usize, version: i32) -> Answer {
        let Some(transform) = &mut self.transform else {
            return Answer::status(status::PARAMS);
        };
        let batch = self.input.get(..len).and_then(|input| Batch::read(input, version));
        let Some(batch) = batch else {
            return Answer::status(status::BASE_INPUT);
        };
        self.output.begin();
        let status = match transform.transform(&batch, &mut self.output) {
            Ok(()) => self.output.end(),
            Err(Damaged { offset, what }) => {
                let first = batch.base_offset;
                let hint = format!("{DAMAGED}{first} is damaged at offset {offset}: {what}");
                self.output.fail(T::KIND, offset, &hint)
            }
        };
        Answer { status, output: true }
    }
}

//! A module's instance: its buffers, and the calls of the engine.

use isotherm_model::params::{BadParams, Params};

use crate::input::Batch;
use crate::output::{Kind, Output};
use crate::records::Damaged;
use crate::{MIN_VERSION, params};

/// What a module does with batches.
pub trait Transform: Sized {
    const KIND: Kind;

    fn new(params: Params) -> Result<Self, BadParams>;

    /// Adds the answer to a batch to the output. A batch that cannot be read is an error, and discards what was added.
    fn transform(&mut self, batch: &Batch<'_>, output: &mut Output) -> Result<(), Damaged>;
}

/// The result of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    /// A number of records, or below 0 an error.
    pub status: i32,
    /// Whether the engine must read the output.
    pub output: bool,
}

/// Every error about a batch whose records cannot be read begins with this text.
pub const DAMAGED: &str = "the batch that begins at offset ";

/// Statuses of the engine's protocol.
mod status {
    /// `init` describes an error in its output.
    pub(super) const INIT_ERROR: i32 = -2;
    /// `init` cannot read its input.
    pub(super) const INIT_INPUT: i32 = -10;
    /// The transform cannot read its input.
    pub(super) const BASE_INPUT: i32 = -11;
    /// The transform was called before `init`, or after one that failed.
    pub(super) const PARAMS: i32 = -44;
}

impl Answer {
    const fn status(status: i32) -> Self {
        Self { status, output: false }
    }
}

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

    /// Room for an input of `len` bytes. It is reused, and grows if necessary.
    pub fn input(&mut self, len: usize) -> &mut [u8] {
        if self.input.len() < len {
            // Nothing in the old buffer is needed: free it before allocating the new one.
            self.input = Vec::new();
            self.input.resize(len, 0);
        }
        self.input.get_mut(..len).unwrap_or_default()
    }

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
    /// Makes the transform from the parameters in the first `len` bytes of the input.
    pub fn init(&mut self, len: usize, version: i32) -> Answer {
        self.transform = None;
        if version < MIN_VERSION {
            self.output.refuse(&format!(
                "the engine speaks version {version} of its protocol, in which batches have no timestamp; this module needs version \
                 {MIN_VERSION} or later: use a newer Fluvio"
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

    /// Answers to the batch in the first `len` bytes of the input.
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

//! The ways of reading that are compared.

use std::hint::black_box;

use isotherm_model::codec::decode;
use isotherm_model::combine::{Combiner, Record};
use isotherm_model::scan::Scanner;
use isotherm_model::settings::Settings;
use serde::Deserialize;

use crate::readings::{Batch, LOGGED, Values};
use crate::{Error, engine};

/// The name of serde_json's typed parse.
pub(crate) const SERDE: &str = "serde_json, typed";
/// The name of the module that does not read its input.
pub(crate) const FLOOR: &str = "engine's floor";

/// One way of reading.
pub(crate) struct Contender {
    /// What the table calls it.
    pub(crate) name: &'static str,
    /// Reads a batch, and answers how many readings it saw: where an answer is bytes, only if these are to be looked into.
    read: Box<Read>,
}

type Read = dyn FnMut(&Batch, bool) -> Result<usize, Error>;

impl Contender {
    fn new(name: &'static str, read: impl FnMut(&Batch, bool) -> Result<usize, Error> + 'static) -> Self {
        Self { name, read: Box::new(read) }
    }

    /// Reads all batches.
    pub(crate) fn read(&mut self, batches: &[Batch]) -> Result<(), Error> {
        for batch in batches {
            black_box((self.read)(batch, false)?);
        }
        Ok(())
    }

    /// Reads all batches, and checks that nothing was missed.
    pub(crate) fn check(&mut self, batches: &[Batch]) -> Result<(), Error> {
        let (mut read, mut count) = (0, 0);
        for batch in batches {
            read += (self.read)(batch, true)?;
            count += batch.values.len();
        }
        if read == count { Ok(()) } else { Err(Error::Answer(self.name, format!("{read} of {count} read"))) }
    }
}

pub(crate) fn all(module: &[u8]) -> Result<Vec<Contender>, Error> {
    Ok(vec![
        Contender::new(SERDE, |batch, _| Ok(batch.values.iter().filter(|value| parse(value)).count())),
        scan("scanner", |batch| &batch.values),
        scan("scanner, any order", |batch| &batch.shuffled),
        native("native combine"),
        in_engine("module in the engine", module, true)?,
        in_engine(FLOOR, engine::FLOOR.as_bytes(), false)?,
    ])
}

#[derive(Deserialize)]
struct Message<'a> {
    guid: &'a str,
    state: &'a str,
    #[serde(rename = "eventTime")]
    event_time: &'a str,
    payload: Payload,
}

#[derive(Deserialize)]
struct Payload {
    data: Data,
}

#[derive(Deserialize)]
struct Data {
    temperature: f64,
}

/// serde_json, into a struct of the members that count, texts borrowed.
fn parse(value: &[u8]) -> bool {
    let message = serde_json::from_slice::<Message<'_>>(black_box(value)).map(|message| {
        let texts = (message.guid, message.state, message.event_time);
        black_box((texts, message.payload.data.temperature));
    });
    message.is_ok()
}

/// The scanner alone.
fn scan(name: &'static str, values: fn(&Batch) -> &Values) -> Contender {
    let mut scanner = Scanner::new(&Settings::default());
    Contender::new(name, move |batch, _| {
        let values = values(batch).iter();
        Ok(values.filter(|value| black_box(scanner.scan(black_box(value), Some(LOGGED))).is_ok()).count())
    })
}

/// The combiner, from records to the bytes of partials.
fn native(name: &'static str) -> Contender {
    let (mut combiner, mut bytes) = (Combiner::new(&Settings::default()), Vec::new());
    Contender::new(name, move |batch, check| {
        combiner.begin(0, Some(LOGGED));
        for value in batch.values.iter() {
            combiner.push(&Record { timestamp: Some(LOGGED), value });
        }
        bytes.clear();
        combiner.finish().encode_into(&mut bytes);
        black_box(&bytes);
        if check { counted(name, Some(&bytes)) } else { Ok(0) }
    })
}

/// A module in the stock engine, which answers with partials or with nothing.
fn in_engine(name: &'static str, module: &[u8], answers: bool) -> Result<Contender, Error> {
    let mut instance = engine::instance(module, None)?;
    Ok(Contender::new(name, move |batch, check| {
        let answer = black_box(engine::answer(&mut instance, &batch.raw, 0)?);
        match answers {
            true if check => counted(name, answer.as_deref()),
            _ => Ok(batch.values.len()),
        }
    }))
}

/// How many readings a partial counts.
fn counted(name: &'static str, bytes: Option<&[u8]>) -> Result<usize, Error> {
    let partial = decode(bytes.unwrap_or_default()).map_err(|error| Error::Answer(name, error.to_string()))?;
    Ok(partial.aggregate.counted() as usize)
}

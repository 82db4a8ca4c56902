//! The ways of reading that are compared.

use std::hint::black_box;

use fluvio_smartengine::SmartModuleChainInstance;
use isotherm_model::codec::decode;
use isotherm_model::combine::{Combiner, Record};
use isotherm_model::partial::Aggregate;
use isotherm_model::scan::Scanner;
use isotherm_model::settings::Settings;
use serde::Deserialize;

use crate::readings::{Batch, LOGGED, Values};
use crate::{Error, engine};

/// The name of serde_json's typed parse.
pub(crate) const SERDE: &str = "serde_json, typed";
/// The name of the module that does not read its input.
pub(crate) const FLOOR: &str = "engine's floor";

/// One way of reading all batches.
pub(crate) trait Contender {
    /// What the table calls it.
    fn name(&self) -> &'static str;
    /// Reads all batches.
    fn read(&mut self, batches: &[Batch]) -> Result<(), Error>;
    /// Reads all batches, and checks that nothing was missed.
    fn check(&mut self, batches: &[Batch]) -> Result<(), Error>;
}

pub(crate) fn all(module: &[u8]) -> Result<Vec<Box<dyn Contender>>, Error> {
    Ok(vec![
        Box::new(Serde),
        Box::new(Scan { name: "scanner", scanner: scanner(), values: |batch| &batch.values }),
        Box::new(Scan { name: "scanner, any order", scanner: scanner(), values: |batch| &batch.shuffled }),
        Box::new(Native { combiner: Combiner::new(&Settings::default()), bytes: Vec::new() }),
        Box::new(Module { name: "module in the engine", instance: engine::instance(module, None)?, answers: true }),
        Box::new(Module { name: FLOOR, instance: engine::instance(engine::FLOOR.as_bytes(), None)?, answers: false }),
    ])
}

fn scanner() -> Scanner {
    Scanner::new(&Settings::default())
}

/// How many readings there are.
fn count(batches: &[Batch]) -> usize {
    batches.iter().map(|batch| batch.values.len()).sum()
}

/// Fails unless all readings were read.
fn all_read(name: &'static str, read: usize, batches: &[Batch]) -> Result<(), Error> {
    if read == count(batches) { Ok(()) } else { Err(Error::Answer(name, format!("{read} of {} read", count(batches)))) }
}

/// serde_json, into a struct of the members that count, texts borrowed.
struct Serde;

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

impl Serde {
    fn count(batches: &[Batch]) -> usize {
        let values = batches.iter().flat_map(|batch| batch.values.iter());
        values
            .filter(|value| match serde_json::from_slice::<Message<'_>>(black_box(value)) {
                Ok(message) => {
                    let texts = (message.guid, message.state, message.event_time);
                    black_box((texts, message.payload.data.temperature));
                    true
                }
                Err(_) => false,
            })
            .count()
    }
}

impl Contender for Serde {
    fn name(&self) -> &'static str {
        SERDE
    }

    fn read(&mut self, batches: &[Batch]) -> Result<(), Error> {
        black_box(Self::count(batches));
        Ok(())
    }

    fn check(&mut self, batches: &[Batch]) -> Result<(), Error> {
        all_read(SERDE, Self::count(batches), batches)
    }
}

/// The scanner alone.
struct Scan {
    name: &'static str,
    scanner: Scanner,
    values: fn(&Batch) -> &Values,
}

impl Scan {
    fn count(&mut self, batches: &[Batch]) -> usize {
        let values = batches.iter().map(self.values).flat_map(Values::iter);
        values.filter(|value| black_box(self.scanner.scan(black_box(value), Some(LOGGED))).is_ok()).count()
    }
}

impl Contender for Scan {
    fn name(&self) -> &'static str {
        self.name
    }

    fn read(&mut self, batches: &[Batch]) -> Result<(), Error> {
        black_box(self.count(batches));
        Ok(())
    }

    fn check(&mut self, batches: &[Batch]) -> Result<(), Error> {
        all_read(self.name, self.count(batches), batches)
    }
}

/// The combiner, from records to the bytes of partials.
struct Native {
    combiner: Combiner,
    bytes: Vec<u8>,
}

impl Native {
    fn batch(&mut self, batch: &Batch) {
        self.combiner.begin(0, Some(LOGGED));
        for value in batch.values.iter() {
            self.combiner.push(&Record { timestamp: Some(LOGGED), value });
        }
        self.bytes.clear();
        self.combiner.finish().encode_into(&mut self.bytes);
    }
}

impl Contender for Native {
    fn name(&self) -> &'static str {
        "native combine"
    }

    fn read(&mut self, batches: &[Batch]) -> Result<(), Error> {
        for batch in batches {
            self.batch(batch);
            black_box(&self.bytes);
        }
        Ok(())
    }

    fn check(&mut self, batches: &[Batch]) -> Result<(), Error> {
        let mut read = 0;
        for batch in batches {
            self.batch(batch);
            read += counted(self.name(), Some(&self.bytes))?.counted();
        }
        all_read(self.name(), read as usize, batches)
    }
}

/// A module in the stock engine.
struct Module {
    name: &'static str,
    instance: SmartModuleChainInstance,
    /// Whether it answers with partials.
    answers: bool,
}

impl Contender for Module {
    fn name(&self) -> &'static str {
        self.name
    }

    fn read(&mut self, batches: &[Batch]) -> Result<(), Error> {
        for batch in batches {
            black_box(engine::answer(&mut self.instance, &batch.raw, 0)?);
        }
        Ok(())
    }

    fn check(&mut self, batches: &[Batch]) -> Result<(), Error> {
        let mut read = 0;
        for batch in batches {
            let answer = engine::answer(&mut self.instance, &batch.raw, 0)?;
            if self.answers {
                read += counted(self.name, answer.as_deref())?.counted();
            }
        }
        if self.answers { all_read(self.name, read as usize, batches) } else { Ok(()) }
    }
}

/// What a partial counts.
fn counted(name: &'static str, bytes: Option<&[u8]>) -> Result<Aggregate, Error> {
    let partial = decode(bytes.unwrap_or_default()).map_err(|error| Error::Answer(name, error.to_string()))?;
    Ok(partial.aggregate)
}

//! SmartModule `window-stats`: answers each batch of readings with one partial of windowed statistics.
//!
//! It keeps nothing from batch to batch: the answer depends on the batch and the parameters alone, so a batch that is read again
//! gives the same partial. It is exported as `array_map`, the kind that the broker runs without printing every batch into its
//! trace.
//!
//! Parameters: those of [`isotherm_model::settings::Settings`], and `output`: `binary` (default), or `json` for people.
//! See `docs/module-parameters.md`.

use isotherm_model::combine::{Combiner, Record};
use isotherm_model::params::{BadParams, OutputFormat, Params};
use isotherm_smartmodule_abi::{Batch, Damaged, Kind, Output, Transform};

#[derive(Debug)]
pub struct WindowStats {
    combiner: Combiner,
    format: OutputFormat,
    /// The name of the group's member in results.
    group: String,
}

impl Transform for WindowStats {
    const KIND: Kind = Kind::ArrayMap;

    fn new(mut params: Params) -> Result<Self, BadParams> {
        let format = OutputFormat::take(&mut params)?;
        let settings = params.into_settings()?;
        Ok(Self { combiner: Combiner::new(&settings), format, group: settings.schema.group.last().to_owned() })
    }

    fn transform(&mut self, batch: &Batch<'_>, output: &mut Output) -> Result<(), Damaged> {
        self.combiner.begin(batch.base_offset, batch.base_timestamp);
        for record in batch.records() {
            let record = record?;
            self.combiner.push(&Record { timestamp: record.timestamp, value: record.value });
        }
        let combined = self.combiner.finish();
        match self.format {
            OutputFormat::Binary => output.push_value(combined.encoded_len(), |out| combined.encode_into(out)),
            OutputFormat::Json => {
                output.push_value(combined.text_len(&self.group), |out| combined.text_into(&self.group, out));
            }
        }
        Ok(())
    }
}

#[cfg(target_arch = "wasm32")]
isotherm_smartmodule_abi::export!(WindowStats, array_map);

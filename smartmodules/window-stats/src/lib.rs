//! SmartModule `window-stats`: answers each batch of readings with one partial of windowed statistics.
//!
//! It keeps nothing from batch to batch: what it answers depends on the batch and the parameters alone, so that a batch that is
//! read again, by anyone and anywhere, gives the same partial. It is exported as `array_map`, the kind that the broker runs
//! without printing every batch into its trace.
//!
//! Parameters: those of [`isotherm_model::settings::Settings`], and `output`: `binary` (default), or `json` for people.
//! See `docs/module-parameters.md`.

use isotherm_model::combine::{Combiner, Record};
use isotherm_model::params::{BadParams, Output as Form, Params};
use isotherm_smartmodule_abi::{Batch, Damaged, Kind, Output, Transform};

/// The transform.
#[derive(Debug)]
pub struct WindowStats {
    combiner: Combiner,
    form: Form,
    /// What results call the group's member.
    group: String,
}

impl Transform for WindowStats {
    const KIND: Kind = Kind::ArrayMap;

    fn new(mut params: Params) -> Result<Self, BadParams> {
        let form = Form::take(&mut params)?;
        let settings = params.into_settings()?;
        Ok(Self { combiner: Combiner::new(&settings), form, group: settings.schema.group.last().to_owned() })
    }

    fn transform(&mut self, batch: &Batch<'_>, output: &mut Output) -> Result<(), Damaged> {
        self.combiner.begin(batch.base_offset, batch.base_timestamp);
        for record in batch.records() {
            let record = record?;
            self.combiner.push(&Record { timestamp: record.timestamp, value: record.value });
        }
        let combined = self.combiner.finish();
        match self.form {
            Form::Binary => output.push_value(combined.encoded_len(), |out| combined.encode_into(out)),
            Form::Json => {
                output.push_value(combined.text_len(&self.group), |out| combined.text_into(&self.group, out));
            }
        }
        Ok(())
    }
}

#[cfg(target_arch = "wasm32")]
isotherm_smartmodule_abi::export!(WindowStats, array_map);

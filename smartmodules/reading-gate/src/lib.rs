//! SmartModule `reading-gate`: keeps the rejected or the accepted readings of a topic, unchanged.
//!
//! Parameters: those of [`isotherm_model::settings::Settings`]; `keep`: `rejected` (default) or `accepted`; `reason`: with
//! `keep=rejected`, only what was rejected for this one reason. See `docs/module-parameters.md`.

use isotherm_model::params::{BadParams, Contradiction, Params};
use isotherm_model::rejection::Rejection;
use isotherm_model::scan::Scanner;
use isotherm_smartmodule_abi::{Batch, Damaged, Kind, Output, Transform};

/// Which readings are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Keep {
    Accepted,
    /// For any reason, or for this one.
    Rejected(Option<Rejection>),
}

#[derive(Debug)]
pub struct ReadingGate {
    scanner: Scanner,
    keep: Keep,
}

impl Transform for ReadingGate {
    const KIND: Kind = Kind::Filter;

    fn new(mut params: Params) -> Result<Self, BadParams> {
        let rejected = params.take_word("keep", &[("rejected", true), ("accepted", false)])?.unwrap_or(true);
        let reason = params.take_word("reason", &Rejection::ALL.map(|reason| (reason.name(), reason)))?;
        let keep = match (rejected, reason) {
            (true, reason) => Keep::Rejected(reason),
            (false, None) => Keep::Accepted,
            (false, Some(_)) => {
                let needs = Contradiction::Needs { name: "reason", other: "keep=rejected" };
                return Err(BadParams::Contradiction(needs));
            }
        };
        Ok(Self { scanner: Scanner::new(&params.into_settings()?), keep })
    }

    fn transform(&mut self, batch: &Batch<'_>, output: &mut Output) -> Result<(), Damaged> {
        for record in batch.records() {
            let record = record?;
            let kept = match (self.scanner.scan(record.value, record.timestamp), self.keep) {
                (Ok(_), keep) => keep == Keep::Accepted,
                (Err(_), Keep::Accepted) => false,
                (Err(fault), Keep::Rejected(reason)) => reason.is_none_or(|reason| reason == fault),
            };
            if kept {
                output.push_body(record.body);
            }
        }
        Ok(())
    }
}

#[cfg(target_arch = "wasm32")]
isotherm_smartmodule_abi::export!(ReadingGate, filter);

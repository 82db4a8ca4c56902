//! Keeps messages in memory: for tests, and for measuring what making them costs.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;

use super::Sink;
use crate::error::ProduceError;
use crate::messages::Messages;
use crate::summary::Counters;

/// A key and a value.
pub type Collected = (Option<Vec<u8>>, Vec<u8>);

/// A sink whose messages can be looked at, also while a run goes on.
#[derive(Debug, Clone)]
pub struct MemorySink {
    messages: Arc<Mutex<Vec<Collected>>>,
    counters: Arc<Counters>,
}

impl MemorySink {
    /// An empty one.
    pub fn new(counters: Arc<Counters>) -> Self {
        Self { messages: Arc::default(), counters }
    }

    /// What it holds, leaving it empty.
    pub fn take(&self) -> Vec<Collected> {
        std::mem::take(&mut self.messages.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[async_trait]
impl Sink for MemorySink {
    async fn send(&mut self, messages: &Messages) -> Result<(), ProduceError> {
        let mut held = self.messages.lock().unwrap_or_else(PoisonError::into_inner);
        held.extend(messages.iter().map(|message| (message.key.map(<[u8]>::to_vec), message.value.to_vec())));
        self.counters.sent.add(messages.len() as u64);
        self.counters.acknowledged.add(messages.len() as u64);
        Ok(())
    }

    async fn flush(&mut self) -> Result<(), ProduceError> {
        Ok(())
    }
}

//! The sample's state: how often each key was scored.
use hotpath::{Failure, State};
use prost::Message;
use std::collections::HashMap;
use tonic::Status;

const MAX_KEYS: usize = 10_000;
const MAX_KEY: usize = 256;
/// The map, and while a snapshot is written its clone and its bytes.
pub(crate) const MAX_BYTES: u64 = 3 * (MAX_KEYS * (MAX_KEY + 128)) as u64;

/// Bounded, as everything that grows.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Counts {
    #[prost(map = "string, uint64", tag = "1")]
    counts: HashMap<String, u64>,
}

impl Counts {
    pub(crate) fn add(&mut self, key: String) -> Result<(), Status> {
        if key.len() > MAX_KEY {
            return Err(Status::invalid_argument(format!("a key has at most {MAX_KEY} bytes")));
        }
        if self.counts.len() >= MAX_KEYS && !self.counts.contains_key(&key) {
            return Err(Status::resource_exhausted(format!("{MAX_KEYS} keys are known, and no more fit")));
        }
        *self.counts.entry(key).or_insert(0) += 1;
        Ok(())
    }

    pub(crate) fn get(&self, key: &str) -> u64 {
        self.counts.get(key).copied().unwrap_or(0)
    }
}

impl State for Counts {
    const VERSION: u32 = 1;

    fn encode(&self) -> Vec<u8> {
        self.encode_to_vec()
    }

    fn decode(_version: u32, bytes: &[u8]) -> Result<Self, Failure> {
        Ok(Message::decode(bytes)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_come_back_from_their_bytes() {
        let mut counts = Counts::default();
        counts.add("a".into()).unwrap();
        counts.add("a".into()).unwrap();
        let again = <Counts as State>::decode(1, &State::encode(&counts)).unwrap();
        assert_eq!((again.get("a"), again.get("b")), (2, 0));
    }

    #[test]
    fn they_are_bounded() {
        let mut counts = Counts::default();
        for key in 0..MAX_KEYS {
            counts.add(key.to_string()).unwrap();
        }
        assert_eq!(counts.add("one more".into()).unwrap_err().code(), tonic::Code::ResourceExhausted);
        assert!(counts.add("0".into()).is_ok(), "a known key still counts");
        assert!(counts.add("k".repeat(MAX_KEY + 1)).is_err());
    }
}

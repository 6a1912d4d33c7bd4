//! How long messages become that gzip compressed: known as they come, so that one which would become too long is never
//! decompressed whole. tonic has one cap for all methods of a service, and a cap that nobody has to remember is better.
use crate::wire::{Compressed, too_long};
use flate2::write::GzDecoder;
use std::io::{self, ErrorKind, Write};
use tonic::Status;

/// Follows the compressed messages of one body.
#[derive(Debug)]
pub(crate) struct Inflated {
    most: usize,
    /// The decoder of the current message.
    decoder: Option<GzDecoder<Length>>,
}

impl Inflated {
    /// Lets messages become `most` bytes long.
    pub(crate) fn new(most: usize) -> Self {
        Self { most, decoder: None }
    }

    /// Follows the current message a part further.
    ///
    /// # Errors
    /// If it becomes too long. What is no gzip is left to whoever decodes it.
    pub(crate) fn check(&mut self, Compressed { part, ends }: Compressed<'_>) -> Result<(), Status> {
        let most = self.most;
        let decoder = self.decoder.get_or_insert_with(|| GzDecoder::new(Length { left: most, exceeded: false }));
        let read = decoder.write_all(part).and_then(|()| if ends { decoder.try_finish() } else { Ok(()) });
        let exceeded = decoder.get_ref().exceeded;
        if ends || read.is_err() {
            self.decoder = None;
        }
        if !exceeded {
            return Ok(());
        }
        Err(too_long(&format!("grpc: received message after decompression larger than max {most}")))
    }
}

/// Takes what is decompressed, and keeps nothing but its length.
#[derive(Debug)]
struct Length {
    left: usize,
    exceeded: bool,
}

impl Write for Length {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(left) = self.left.checked_sub(bytes.len()) else {
            self.exceeded = true;
            return Err(ErrorKind::FileTooLarge.into());
        };
        self.left = left;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::{Compression, write::GzEncoder};

    #[test]
    fn a_message_may_become_as_long_as_the_cap_and_no_longer() {
        let compressed = |length: usize| {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
            encoder.write_all(&vec![0; length]).unwrap();
            encoder.finish().unwrap()
        };
        let check = |inflated: &mut Inflated, message: &[u8]| {
            let (head, tail) = message.split_at(message.len() / 2);
            inflated.check(Compressed { part: head, ends: false })?;
            inflated.check(Compressed { part: tail, ends: true })
        };
        let mut inflated = Inflated::new(100_000);
        for _ in 0..2 {
            check(&mut inflated, &compressed(100_000)).unwrap();
        }
        assert_eq!(check(&mut inflated, &compressed(100_001)).unwrap_err().code(), tonic::Code::ResourceExhausted);
        check(&mut Inflated::new(10), b"no gzip at all").unwrap();
    }
}

//! Decoding what a client sent. The protocol's own decoders trust some lengths and times, and panic on senseless ones. Here
//! such bytes are an error like any other.

use std::cell::Cell;
use std::io;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

thread_local! {
    /// Whether this thread decodes what a client sent.
    static DECODING: Cell<bool> = const { Cell::new(false) };
}

/// Runs a decoder over bytes from outside; a panic of it is an error of the bytes.
pub(crate) fn guarded<T>(decode: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    keep_quiet();
    DECODING.set(true);
    // What the decoder was filling is dropped, and the connection closed.
    let decoded = panic::catch_unwind(AssertUnwindSafe(decode));
    DECODING.set(false);
    decoded.unwrap_or_else(|_| {
        Err(io::Error::new(io::ErrorKind::InvalidData, "a request with a length or a time that makes no sense"))
    })
}

/// Keeps the panics of guarded decoders out of the log; all others are reported as before.
fn keep_quiet() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !DECODING.try_with(Cell::get).unwrap_or(false) {
                before(info);
            }
        }));
    });
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use fluvio_protocol::{ByteBuf, Decoder};

    use super::*;

    #[test]
    fn a_decoder_that_panics_is_an_error() {
        let length = [0xff; 4];
        let error = guarded(|| ByteBuf::decode_from(&mut &length[..], 0)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        let time = [0xff; 12];
        let error = guarded(|| Duration::decode_from(&mut &time[..], 0)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        assert_eq!(guarded(|| u32::decode_from(&mut &length[..], 0)).unwrap(), u32::MAX);
    }
}

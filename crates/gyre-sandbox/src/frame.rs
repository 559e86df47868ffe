//! Frames: how messages travel between this process and a worker.
//!
//! A frame is a length of four bytes, little-endian, and so many bytes of
//! postcard. Both sides bound the length, whatever the other claims.

use std::io::{self, Read, Write};

use serde::Serialize;
use serde::de::DeserializeOwned;

/// The largest frame. It bounds what a broken worker can make this process
/// hold, and is far above any honest batch.
pub(crate) const FRAME_BYTES_MAX: usize = 256 << 20;

const LENGTH_BYTES: usize = 4;
const BODY_BYTES_TRUSTED: usize = 1 << 20;

/// Encodes a message as a whole frame.
pub(crate) fn encode<T: Serialize>(message: &T) -> io::Result<Vec<u8>> {
    let mut frame = postcard::to_extend(message, vec![0; LENGTH_BYTES]).map_err(malformed)?;
    let length = frame.len() - LENGTH_BYTES;
    if length > FRAME_BYTES_MAX {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "the message is too large"));
    }
    frame[..LENGTH_BYTES].copy_from_slice(&(length as u32).to_le_bytes());
    Ok(frame)
}

/// Writes a message.
pub(crate) fn write<T: Serialize>(mut to: impl Write, message: &T) -> io::Result<()> {
    to.write_all(&encode(message)?)
}

/// Reads a message; `None` if the other side closed the stream before one.
pub(crate) fn read<T: DeserializeOwned>(mut from: impl Read) -> io::Result<Option<T>> {
    let mut length = [0; LENGTH_BYTES];
    if !read_whole(&mut from, &mut length)? {
        return Ok(None);
    }
    let length = u32::from_le_bytes(length) as usize;
    if length > FRAME_BYTES_MAX {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "a frame is too large"));
    }
    // Beyond this it grows as bytes arrive: a length is a claim.
    let mut body = Vec::with_capacity(length.min(BODY_BYTES_TRUSTED));
    let arrived = from.take(length as u64).read_to_end(&mut body)?;
    if arrived < length {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let (message, rest) = postcard::take_from_bytes(&body).map_err(malformed)?;
    if !rest.is_empty() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "a frame holds more than a message",
        ));
    }
    Ok(Some(message))
}

/// Fills the buffer; `false` if the stream ended before the first byte.
fn read_whole(from: &mut impl Read, buffer: &mut [u8]) -> io::Result<bool> {
    let mut filled = 0;
    while filled < buffer.len() {
        match from.read(&mut buffer[filled..]) {
            Ok(0) if filled == 0 => return Ok(false),
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(true)
}

fn malformed(error: postcard::Error) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bytes::Bytes;

    fn frame() -> Vec<u8> {
        encode(&vec![("x".to_owned(), Bytes(vec![1, 2, 3])), (String::new(), Bytes(vec![]))])
            .unwrap()
    }

    type Message = Vec<(String, Bytes)>;

    #[test]
    fn what_was_written_is_read() {
        let twice = [frame(), frame()].concat();
        let mut stream = twice.as_slice();
        for _ in 0..2 {
            let message: Message = read(&mut stream).unwrap().unwrap();
            assert_eq!(message[0].1, Bytes(vec![1, 2, 3]));
        }
        assert!(read::<Message>(&mut stream).unwrap().is_none());
    }

    #[test]
    fn a_frame_that_is_cut_anywhere_is_an_error() {
        let whole = frame();
        for cut in 1..whole.len() {
            assert!(read::<Message>(&whole[..cut]).is_err(), "cut at {cut}");
        }
    }

    #[test]
    fn a_frame_that_claims_too_much_is_an_error() {
        let claims = (FRAME_BYTES_MAX as u32 + 1).to_le_bytes();
        assert!(read::<Message>([claims.as_slice(), &[0; 16]].concat().as_slice()).is_err());
        let mut longer = frame();
        longer.push(0);
        let length = longer.len() as u32 - 4;
        longer[..4].copy_from_slice(&length.to_le_bytes());
        assert!(read::<Message>(longer.as_slice()).is_err());
    }
}

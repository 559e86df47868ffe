//! One file, read once: its digest, and for weights that the header describes
//! exactly what follows and that every number is finite.

use std::collections::BTreeMap;
use std::io::{self, BufReader, Read};
use std::path::Path;

use gyre_folder::Folder;
use gyre_types::Digest;
use safetensors::Dtype;
use safetensors::tensor::Metadata;
use sha2::{Digest as _, Sha256};

use super::contents::CheckpointFile;
use super::files::Listed;
use crate::CheckpointError;

/// The shapes of a file's tensors, by name.
pub(super) type Shapes = BTreeMap<String, Vec<usize>>;

pub(super) struct Scanned {
    pub(super) file: CheckpointFile,
    /// Of a safetensors file.
    pub(super) tensors: Option<Shapes>,
}

/// Bytes read at once: a multiple of every number's size.
const CHUNK_BYTES: usize = 256 << 10;

/// The header's length comes first, as a little-endian number of 8 bytes.
const LENGTH_BYTES: u64 = 8;

/// A header of this size describes some 100,000 tensors. The format's own bound is
/// 100 MB, most of which no checkpoint needs.
const HEADER_BYTES_MAX: u64 = 16 << 20;

/// Reads a file to its end.
pub(super) fn scan(folder: &Path, listed: Listed) -> Result<Scanned, CheckpointError> {
    let path = folder.join(&listed.path);
    let file = Folder::new(folder).open(&listed.path);
    let file = file.map_err(CheckpointError::io("open", path.clone()))?;
    let mut reader = Hashing { inner: BufReader::new(file), hasher: Sha256::new(), read: 0 };
    let tensors = match listed.path.ends_with(".safetensors") {
        true => Some(scan_tensors(&mut reader, listed.bytes).map_err(|fault| match fault {
            Fault::Io(source) => CheckpointError::Io { action: "read", path: path.clone(), source },
            Fault::Refused(why) => CheckpointError::refused(path.clone(), why),
        })?),
        false => None,
    };
    reader.read_to_end().map_err(CheckpointError::io("read", path.clone()))?;
    if reader.read != listed.bytes {
        return Err(CheckpointError::refused(path, "changed while it was read"));
    }
    let sha256 = Digest::from_bytes(reader.hasher.finalize().into());
    let file = CheckpointFile { path: listed.path, bytes: listed.bytes, sha256 };
    Ok(Scanned { file, tensors })
}

/// Digests what is read through it.
struct Hashing<R> {
    inner: R,
    hasher: Sha256,
    read: u64,
}

impl<R: Read> Hashing<R> {
    fn read_exact(&mut self, bytes: &mut [u8]) -> io::Result<()> {
        self.inner.read_exact(bytes)?;
        self.hasher.update(&bytes);
        self.read += bytes.len() as u64;
        Ok(())
    }

    fn read_to_end(&mut self) -> io::Result<()> {
        let mut chunk = vec![0; CHUNK_BYTES];
        loop {
            let length = self.inner.read(&mut chunk)?;
            if length == 0 {
                return Ok(());
            }
            self.hasher.update(&chunk[..length]);
            self.read += length as u64;
        }
    }
}

enum Fault {
    Io(io::Error),
    Refused(String),
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

fn refused(why: impl Into<String>) -> Fault {
    Fault::Refused(why.into())
}

fn scan_tensors<R: Read>(reader: &mut Hashing<R>, bytes: u64) -> Result<Shapes, Fault> {
    let metadata = read_header(reader, bytes)?;
    let mut shapes = Shapes::new();
    let mut chunk = vec![0; CHUNK_BYTES];
    for name in metadata.offset_keys() {
        let Some(tensor) = metadata.info(&name) else { continue };
        let mut left = tensor.data_offsets.1 - tensor.data_offsets.0;
        while left > 0 {
            let part = &mut chunk[..left.min(CHUNK_BYTES)];
            reader.read_exact(part)?;
            if let Some(what) = not_finite(tensor.dtype, part) {
                return Err(refused(format!(
                    "holds {what} in the tensor {name:?}: training diverged; lower the learning \
                     rate, or train in another precision"
                )));
            }
            left -= part.len();
        }
        shapes.insert(name, tensor.shape.clone());
    }
    match shapes.is_empty() {
        true => Err(refused("holds no tensors")),
        false => Ok(shapes),
    }
}

/// Reads the header, and checks that it describes exactly `bytes`.
fn read_header<R: Read>(reader: &mut Hashing<R>, bytes: u64) -> Result<Metadata, Fault> {
    let mut length = [0; LENGTH_BYTES as usize];
    if bytes < LENGTH_BYTES {
        return Err(refused(format!("is truncated: it has {bytes} bytes, less than a header")));
    }
    reader.read_exact(&mut length)?;
    let length = u64::from_le_bytes(length);
    if length > HEADER_BYTES_MAX {
        return Err(refused(format!(
            "is not a safetensors file: its header would have {length} bytes"
        )));
    }
    if length > bytes - LENGTH_BYTES {
        return Err(refused(format!(
            "is truncated: its header has {length} bytes and the file {bytes}"
        )));
    }
    let mut header = vec![0; usize::try_from(length).unwrap_or(usize::MAX)];
    reader.read_exact(&mut header)?;
    // This checks types, shapes, and that the tensors lie one behind the other.
    let metadata: Metadata = serde_json::from_slice(&header)
        .map_err(|error| refused(format!("has a header that cannot be read: {error}")))?;
    let expected = LENGTH_BYTES + length + metadata.data_len() as u64;
    if bytes < expected {
        return Err(refused(format!(
            "is truncated: its header describes {expected} bytes and it has {bytes}"
        )));
    }
    if bytes > expected {
        return Err(refused(format!(
            "is too long: its header describes {expected} bytes and it has {bytes}"
        )));
    }
    Ok(metadata)
}

/// Whether one of these numbers is not finite, and what it is.
fn not_finite(dtype: Dtype, bytes: &[u8]) -> Option<&'static str> {
    match dtype {
        Dtype::F64 => first_of::<8>(bytes, 0x7ff0_0000_0000_0000),
        Dtype::F32 => first_of::<4>(bytes, 0x7f80_0000),
        Dtype::F16 => first_of::<2>(bytes, 0x7c00),
        Dtype::BF16 => first_of::<2>(bytes, 0x7f80),
        // Integers are always finite. Floats of 8 bits and fewer are quantised weights,
        // which trainers do not write.
        _ => None,
    }
}

/// Looks for a number whose exponent has all bits set: infinity where the mantissa
/// is zero, and else no number (IEEE 754).
fn first_of<const N: usize>(bytes: &[u8], exponent: u64) -> Option<&'static str> {
    let sign = 1 << (8 * N - 1);
    let bits = |number: &[u8]| {
        let mut wide = [0; 8];
        wide[..N].copy_from_slice(number);
        u64::from_le_bytes(wide)
    };
    let numbers = bytes.chunks_exact(N).map(bits);
    let found = numbers.clone().fold(false, |found, bits| found | (bits & exponent == exponent));
    if !found {
        return None;
    }
    let is_nan = |bits: u64| bits & exponent == exponent && bits & !exponent & !sign != 0;
    Some(if numbers.clone().any(is_nan) { "NaN" } else { "an infinite number" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_are_not_finite_are_found_in_every_float() {
        for (bad, what) in [(f32::NAN, "NaN"), (f32::NEG_INFINITY, "an infinite number")] {
            let of_32 = [[0; 4], bad.to_le_bytes()].concat();
            assert_eq!(not_finite(Dtype::F32, &of_32), Some(what));
            let of_64 = [[0; 8], f64::from(bad).to_le_bytes()].concat();
            assert_eq!(not_finite(Dtype::F64, &of_64), Some(what));
            let bf16 = [0, 0, of_32[6], of_32[7]];
            assert_eq!(not_finite(Dtype::BF16, &bf16), Some(what));
            assert_eq!(not_finite(Dtype::I32, &of_32), None);
        }
        assert_eq!(not_finite(Dtype::F16, &[0, 0, 0x01, 0xfc]), Some("NaN"));
        assert_eq!(not_finite(Dtype::F16, &[0, 0, 0x00, 0x7c]), Some("an infinite number"));
        for finite in [f32::MAX, f32::MIN, f32::MIN_POSITIVE, -0.0, 1.5] {
            assert_eq!(not_finite(Dtype::F32, &finite.to_le_bytes()), None, "{finite}");
            assert_eq!(not_finite(Dtype::F64, &f64::from(finite).to_le_bytes()), None, "{finite}");
        }
        assert_eq!(not_finite(Dtype::F16, &[0xff, 0x7b]), None);
        assert_eq!(not_finite(Dtype::BF16, &[0x7f, 0x7f]), None);
    }
}

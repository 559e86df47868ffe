use std::collections::{BTreeMap, HashMap};
use std::io::{self, Write as _};
use std::path::Path;

use gyre_folder::Folder;
use half::{bf16, f16};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};

use crate::LearnerError;
use crate::model::Layout;

/// Reads one of a checkpoint's files.
pub(super) fn read(dir: &Path, file: &'static str) -> Result<Vec<u8>, LearnerError> {
    Folder::new(dir).read(file).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => {
            LearnerError::Missing { dir: dir.to_owned(), file }
        }
        _ => LearnerError::io("read", &dir.join(file))(error),
    })
}

/// Writes one of a checkpoint's files and waits until the disk has it.
pub(super) fn write(dir: &Path, file: &str, bytes: &[u8]) -> Result<(), LearnerError> {
    let path = dir.join(file);
    let write = || -> io::Result<()> {
        gyre_fault::io_point("checkpoint::writing")?;
        let mut file = Folder::new(dir).create(file)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        gyre_fault::io_point("checkpoint::synced")
    };
    write().map_err(LearnerError::io("write", &path))
}

/// The bytes of a safetensors file that holds flat slices under Hugging Face's
/// names, each slice's names behind a prefix.
pub(super) fn tensor_bytes(
    path: &Path,
    layout: &Layout,
    slices: &[(&str, &[f32])],
) -> Result<Vec<u8>, LearnerError> {
    let corrupt = |error: &dyn std::error::Error| LearnerError::corrupt(path, error);
    let mut bytes = BTreeMap::new();
    for (prefix, flat) in slices {
        for part in layout.tensors() {
            let values = part.read(flat);
            let raw: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
            bytes.insert(format!("{prefix}{}", part.name), (part.shape.clone(), raw));
        }
    }
    let mut named = BTreeMap::new();
    for (name, (shape, raw)) in &bytes {
        let view = TensorView::new(Dtype::F32, shape.clone(), raw).map_err(|e| corrupt(&e))?;
        named.insert(name.as_str(), view);
    }
    let metadata = HashMap::from([("format".to_owned(), "pt".to_owned())]);
    safetensors::serialize(named, Some(metadata)).map_err(|error| corrupt(&error))
}

/// Reads a flat slice back.
pub(super) fn read_tensors(
    path: &Path,
    bytes: &[u8],
    layout: &Layout,
    prefix: &str,
) -> Result<Vec<f32>, LearnerError> {
    let corrupt = |what: String| LearnerError::corrupt(path, what);
    let tensors = SafeTensors::deserialize(bytes).map_err(|error| corrupt(error.to_string()))?;
    let mut flat = vec![0.0; layout.len];
    for part in layout.tensors() {
        let name = format!("{prefix}{}", part.name);
        let tensor = tensors.tensor(&name).map_err(|_| corrupt(format!("{name} is missing")))?;
        if tensor.shape() != part.shape {
            let what = format!("{name} has shape {:?}, not {:?}", tensor.shape(), part.shape);
            return Err(corrupt(what));
        }
        let values = floats(&tensor)
            .ok_or_else(|| corrupt(format!("{name} is {:?}, which is not read", tensor.dtype())))?;
        if !values.iter().all(|value| value.is_finite()) {
            return Err(corrupt(format!("{name} holds what is not a number")));
        }
        part.write(&values, &mut flat);
    }
    Ok(flat)
}

/// A tensor's numbers as 32-bit floats; none for a type that is not a float of
/// 16, 32 or 64 bits.
fn floats(tensor: &TensorView<'_>) -> Option<Vec<f32>> {
    let data = tensor.data();
    Some(match tensor.dtype() {
        Dtype::F32 => data.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect(),
        Dtype::F64 => data.as_chunks().0.iter().map(|b| f64::from_le_bytes(*b) as f32).collect(),
        Dtype::F16 => data.as_chunks().0.iter().map(|b| f16::from_le_bytes(*b).into()).collect(),
        Dtype::BF16 => data.as_chunks().0.iter().map(|b| bf16::from_le_bytes(*b).into()).collect(),
        _ => return None,
    })
}

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;

use candle_core::{DType, Device, Tensor};

use crate::LearnerError;
use crate::model::Layout;

/// Reads one of a checkpoint's files.
pub(super) fn read(dir: &Path, file: &'static str) -> Result<Vec<u8>, LearnerError> {
    let path = dir.join(file);
    std::fs::read(&path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => {
            LearnerError::Missing { dir: dir.to_owned(), file }
        }
        _ => LearnerError::io("read", &path)(error),
    })
}

/// Writes one of a checkpoint's files and waits until the disk has it.
pub(super) fn write(dir: &Path, file: &str, bytes: &[u8]) -> Result<(), LearnerError> {
    let path = dir.join(file);
    let write = || -> io::Result<()> {
        gyre_fault::io_point("checkpoint::writing")?;
        let mut file = File::create(&path)?;
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
    let mut named = BTreeMap::new();
    for (prefix, flat) in slices {
        for part in layout.tensors() {
            let tensor = Tensor::from_vec(part.read(flat), part.shape.as_slice(), &Device::Cpu)
                .map_err(|error| corrupt(&error))?;
            named.insert(format!("{prefix}{}", part.name), tensor);
        }
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
    let tensors = candle_core::safetensors::load_buffer(bytes, &Device::Cpu)
        .map_err(|error| corrupt(error.to_string()))?;
    let mut flat = vec![0.0; layout.len];
    for part in layout.tensors() {
        let name = format!("{prefix}{}", part.name);
        let tensor = tensors.get(&name).ok_or_else(|| corrupt(format!("{name} is missing")))?;
        if tensor.dims() != part.shape {
            let what = format!("{name} has shape {:?}, not {:?}", tensor.dims(), part.shape);
            return Err(corrupt(what));
        }
        let values = tensor.to_dtype(DType::F32).and_then(|tensor| tensor.flatten_all()?.to_vec1());
        let values: Vec<f32> = values.map_err(|error| corrupt(error.to_string()))?;
        if !values.iter().all(|value| value.is_finite()) {
            return Err(corrupt(format!("{name} holds what is not a number")));
        }
        part.write(&values, &mut flat);
    }
    Ok(flat)
}

use crate::error::DatasetError;
use crate::group::GroupRow;
use crate::layout::Layout;
use crate::read::{read_groups, read_shard};
use crate::row::DatasetRow;

/// The first `count` accepted rows of a dataset, in the order of its manifest.
///
/// # Errors
///
/// When the manifest or a shard cannot be read.
pub fn head(layout: &Layout, count: usize) -> Result<Vec<DatasetRow>, DatasetError> {
    let mut rows = Vec::new();
    let manifest = layout.read_manifest()?;
    for shard in manifest.accepted() {
        if rows.len() == count {
            break;
        }
        let missing = count - rows.len();
        let read = read_shard(layout.open(&shard.path))?.take(missing);
        rows.extend(read.collect::<Result<Vec<_>, _>>()?);
    }
    Ok(rows)
}

/// The first `count` attempts of a dataset's whole groups, in the order of its
/// manifest.
///
/// # Errors
///
/// As [`head`].
pub fn head_of_groups(layout: &Layout, count: usize) -> Result<Vec<GroupRow>, DatasetError> {
    let mut rows = Vec::new();
    let manifest = layout.read_manifest()?;
    for shard in manifest.groups() {
        if rows.len() == count {
            break;
        }
        let read = read_groups(layout.open(&shard.path))?.take(count - rows.len());
        rows.extend(read.collect::<Result<Vec<_>, _>>()?);
    }
    Ok(rows)
}

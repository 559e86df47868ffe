//! A guest's files: descriptors and streams over its [`Tree`], and nothing of
//! the machine's file system.
//!
//! A guest without a workspace is given no descriptor, so none of this answers
//! it.

use std::collections::{BTreeMap, VecDeque};

use gyre_types::WorkspaceLimits;

use super::tree::{Content, FileError, Node, NodeId, PATH_BYTES_MAX, ROOT, Tree};
use super::{Call, Stop, abi, charge, clocks};
use crate::bytes::Bytes;

/// The handle of the one folder that a guest begins with.
pub(super) const ROOT_HANDLE: u32 = 8;
/// Other handles are above; the standard streams are below.
const HANDLE_FIRST: u32 = 16;
/// Handles for each open file: the file, and a stream each way.
const HANDLES_PER_FILE: u32 = 3;
/// What one read or write may carry.
pub(super) const TRANSFER_BYTES_MAX: u64 = 64 << 10;

/// Bits of `descriptor-flags`.
pub(super) const READ: u32 = 1;
pub(super) const WRITE: u32 = 2;
const MUTATE_FOLDER: u32 = 32;
/// Bits of `open-flags`.
const CREATE: u32 = 1;
const FOLDER: u32 = 2;
const EXCLUSIVE: u32 = 4;
const TRUNCATE: u32 = 8;

/// The case numbers of `descriptor-type`.
pub(super) const TYPE_FOLDER: u8 = 3;
pub(super) const TYPE_FILE: u8 = 6;

/// Why a request was not done: the guest is told, or stopped.
pub(super) enum Failure {
    Told(FileError),
    Stopped(wasmtime::Error),
}

impl From<FileError> for Failure {
    fn from(error: FileError) -> Self {
        Self::Told(error)
    }
}

impl From<wasmtime::Error> for Failure {
    fn from(error: wasmtime::Error) -> Self {
        Self::Stopped(error)
    }
}

/// What one guest has of files.
pub(crate) struct Workspace {
    pub(super) tree: Tree,
    handles: BTreeMap<u32, Handle>,
    handles_made: u32,
    open: u32,
    open_max: u32,
}

/// What a handle stands for.
pub(super) enum Handle {
    Descriptor {
        node: NodeId,
        flags: u32,
    },
    Input {
        node: NodeId,
        offset: u64,
    },
    /// Without an offset it appends.
    Output {
        node: NodeId,
        offset: Option<u64>,
    },
    Listing(VecDeque<(u8, String)>),
}

impl Handle {
    fn node(&self) -> Option<NodeId> {
        match self {
            Self::Descriptor { node, .. }
            | Self::Input { node, .. }
            | Self::Output { node, .. } => Some(*node),
            Self::Listing(_) => None,
        }
    }
}

impl Workspace {
    /// Makes the workspace and puts the files there; an error says which one
    /// does not fit.
    pub(crate) fn new(
        limits: WorkspaceLimits,
        files: &BTreeMap<String, Bytes>,
    ) -> Result<Self, String> {
        let open_max = limits.open_max;
        let mut tree = Tree::new(limits, clocks::START_NS);
        for (path, Bytes(content)) in files {
            tree.put(path, content, clocks::START_NS)
                .map_err(|error| format!("{path:?} cannot be put there: {}", refusal(error)))?;
        }
        let handles = BTreeMap::new();
        Ok(Self { tree, handles, handles_made: HANDLE_FIRST, open: 0, open_max })
    }

    pub(crate) fn files(&self) -> BTreeMap<String, Bytes> {
        self.tree.files().into_iter().map(|(path, content)| (path, Bytes(content))).collect()
    }

    fn add(&mut self, handle: Handle) -> Result<u32, FileError> {
        let is_descriptor = matches!(handle, Handle::Descriptor { .. });
        let handles_max = self.open_max.saturating_mul(HANDLES_PER_FILE) as usize;
        if self.handles.len() >= handles_max || is_descriptor && self.open >= self.open_max {
            return Err(FileError::TooManyOpen);
        }
        let number = self.handles_made;
        self.handles_made = number.checked_add(1).ok_or(FileError::TooManyOpen)?;
        if let Some(node) = handle.node() {
            self.tree.hold(node)?;
        }
        self.open += u32::from(is_descriptor);
        self.handles.insert(number, handle);
        Ok(number)
    }

    pub(super) fn drop_handle(&mut self, number: u32) {
        let Some(handle) = self.handles.remove(&number) else { return };
        self.open -= u32::from(matches!(handle, Handle::Descriptor { .. }));
        if let Some(node) = handle.node() {
            self.tree.release(node);
        }
    }

    /// The node and flags of a descriptor.
    pub(super) fn descriptor(&self, number: u32) -> Result<(NodeId, u32), FileError> {
        match self.handles.get(&number) {
            Some(Handle::Descriptor { node, flags }) => Ok((*node, *flags)),
            None if number == ROOT_HANDLE => Ok((ROOT, READ | MUTATE_FOLDER)),
            _ => Err(FileError::BadDescriptor),
        }
    }

    /// The node of a descriptor that was opened for this.
    fn opened(&self, number: u32, flag: u32) -> Result<NodeId, FileError> {
        match self.descriptor(number)? {
            (node, flags) if flags & flag == flag => Ok(node),
            _ => Err(FileError::BadDescriptor),
        }
    }
}

fn refusal(error: FileError) -> &'static str {
    match error {
        FileError::Quota => "the workspace's bytes_max or entries_max is reached",
        FileError::NameTooLong => "a name is longer, or the path deeper, than the workspace allows",
        FileError::Exists | FileError::NotFolder => "another file has that name",
        _ => "its path must be names with single slashes between them, without . and ..",
    }
}

pub(super) fn workspace<'a>(call: &'a mut Call<'_>) -> wasmtime::Result<&'a mut Workspace> {
    let refused = || Stop::Refused("wasi:filesystem".to_owned()).into();
    call.data_mut().workspace.as_mut().ok_or_else(refused)
}

/// Reads a path that the guest names.
pub(super) fn path(call: &mut Call<'_>, at: u32, size: u32) -> Result<String, Failure> {
    if size > PATH_BYTES_MAX {
        return Err(FileError::NameTooLong.into());
    }
    charge(call, u64::from(size))?;
    let text = String::from_utf8(abi::read(call, at, size)?);
    let text = text.map_err(|_| FileError::IllegalByteSequence)?;
    match text.contains('\0') {
        true => Err(FileError::Invalid.into()),
        false => Ok(text),
    }
}

/// The node that a descriptor and a path name together.
pub(super) fn find(
    call: &mut Call<'_>,
    base: u32,
    (at, size): (u32, u32),
) -> Result<NodeId, Failure> {
    let path = path(call, at, size)?;
    let workspace = workspace(call)?;
    let (base, _) = workspace.descriptor(base)?;
    Ok(workspace.tree.find(base, &path)?)
}

pub(super) fn open(
    call: &mut Call<'_>,
    base: u32,
    (at, size): (u32, u32),
    how: u32,
    flags: u32,
) -> Result<u32, Failure> {
    let now_ns = clocks::wall_ns(call)?;
    let path = path(call, at, size)?;
    let workspace = workspace(call)?;
    let (base, _) = workspace.descriptor(base)?;
    if how & CREATE != 0 && how & FOLDER != 0 || how & TRUNCATE != 0 && flags & WRITE == 0 {
        return Err(FileError::Invalid.into());
    }
    if workspace.open >= workspace.open_max {
        // Before a file is made that nobody could open.
        return Err(FileError::TooManyOpen.into());
    }
    let tree = &mut workspace.tree;
    let node = match how & CREATE {
        0 => tree.find(base, &path)?,
        _ => tree.find_or_make_file(base, &path, how & EXCLUSIVE != 0, now_ns)?,
    };
    match tree.node(node)?.content.is_folder() {
        true if flags & WRITE != 0 || how & CREATE != 0 => return Err(FileError::IsFolder.into()),
        false if how & FOLDER != 0 => return Err(FileError::NotFolder.into()),
        _ => {}
    }
    if how & TRUNCATE != 0 {
        tree.set_size(node, 0, now_ns)?;
    }
    Ok(workspace.add(Handle::Descriptor { node, flags })?)
}

/// Opens a stream from a file.
pub(super) fn input(call: &mut Call<'_>, file: u32, offset: u64) -> Result<u32, Failure> {
    let workspace = workspace(call)?;
    let node = workspace.opened(file, READ)?;
    workspace.tree.file(node)?;
    Ok(workspace.add(Handle::Input { node, offset })?)
}

/// Opens a stream to a file, or to its end.
pub(super) fn output(call: &mut Call<'_>, file: u32, offset: Option<u64>) -> Result<u32, Failure> {
    let workspace = workspace(call)?;
    let node = workspace.opened(file, WRITE)?;
    workspace.tree.file(node)?;
    Ok(workspace.add(Handle::Output { node, offset })?)
}

/// Opens a folder's list of names, as they are now.
pub(super) fn listing(call: &mut Call<'_>, folder: u32) -> Result<u32, Failure> {
    let before = workspace(call)?;
    let (node, _) = before.descriptor(folder)?;
    let bytes: usize = before.tree.folder(node)?.keys().map(|name| name.len() + 1).sum();
    charge(call, bytes as u64)?;
    let workspace = workspace(call)?;
    let mut names = VecDeque::new();
    for (name, id) in workspace.tree.folder(node)? {
        let is_folder = workspace.tree.node(*id)?.content.is_folder();
        names.push_back((if is_folder { TYPE_FOLDER } else { TYPE_FILE }, name.clone()));
    }
    Ok(workspace.add(Handle::Listing(names))?)
}

/// The next name of a listing.
pub(super) fn next_name(
    call: &mut Call<'_>,
    listing: u32,
) -> Result<Option<(u8, String)>, Failure> {
    match workspace(call)?.handles.get_mut(&listing) {
        Some(Handle::Listing(names)) => Ok(names.pop_front()),
        _ => Err(FileError::BadDescriptor.into()),
    }
}

fn part(content: &[u8], offset: u64, size: u64) -> Vec<u8> {
    let rest = content.get(usize::try_from(offset).unwrap_or(usize::MAX)..).unwrap_or_default();
    rest[..rest.len().min(size.min(TRANSFER_BYTES_MAX) as usize)].to_vec()
}

/// Reads from a file at an offset: the bytes, and whether the file ends there.
pub(super) fn read_at(
    call: &mut Call<'_>,
    file: u32,
    offset: u64,
    size: u64,
) -> Result<(Vec<u8>, bool), Failure> {
    let workspace = workspace(call)?;
    let content = workspace.tree.file(workspace.opened(file, READ)?)?;
    let bytes = part(content, offset, size);
    let at_end = offset.saturating_add(bytes.len() as u64) >= content.len() as u64;
    charge(call, bytes.len() as u64)?;
    Ok((bytes, at_end))
}

/// Reads from a stream; nothing at the file's end.
pub(super) fn read_stream(
    call: &mut Call<'_>,
    stream: u32,
    size: u64,
) -> Result<Option<Vec<u8>>, Failure> {
    let workspace = workspace(call)?;
    let Some(Handle::Input { node, offset }) = workspace.handles.get_mut(&stream) else {
        return Err(FileError::BadDescriptor.into());
    };
    let content = workspace.tree.file(*node)?;
    if *offset >= content.len() as u64 {
        return Ok(None);
    }
    let bytes = part(content, *offset, size);
    *offset += bytes.len() as u64;
    charge(call, bytes.len() as u64)?;
    Ok(Some(bytes))
}

/// Writes to a file at an offset.
pub(super) fn write_at(
    call: &mut Call<'_>,
    file: u32,
    (at, size): (u32, u32),
    offset: u64,
) -> Result<u64, Failure> {
    let node = workspace(call)?.opened(file, WRITE)?;
    write(call, node, (at, size), offset)
}

/// Writes to a stream.
pub(super) fn write_stream(
    call: &mut Call<'_>,
    stream: u32,
    (at, size): (u32, u32),
) -> Result<(), Failure> {
    let workspace_now = workspace(call)?;
    let Some(Handle::Output { node, offset }) = workspace_now.handles.get(&stream) else {
        return Err(FileError::BadDescriptor.into());
    };
    let (node, appends) = (*node, offset.is_none());
    let offset = offset.unwrap_or(workspace_now.tree.file(node)?.len() as u64);
    let written = write(call, node, (at, size), offset)?;
    if let Some(Handle::Output { offset: place, .. }) = workspace(call)?.handles.get_mut(&stream)
        && !appends
    {
        *place = Some(offset.saturating_add(written));
    }
    Ok(())
}

fn write(
    call: &mut Call<'_>,
    node: NodeId,
    (at, size): (u32, u32),
    offset: u64,
) -> Result<u64, Failure> {
    let size = u64::from(size).min(TRANSFER_BYTES_MAX);
    let now_ns = clocks::wall_ns(call)?;
    let end = offset.checked_add(size).ok_or(FileError::Quota)?;
    // A hole before it is filled with zeros, which is work as well.
    let growth = workspace(call)?.tree.growth(node, end)?;
    charge(call, size.max(growth))?;
    let bytes = abi::read(call, at, size as u32)?;
    workspace(call)?.tree.write(node, offset, &bytes, now_ns)?;
    Ok(size)
}

pub(super) fn set_size(call: &mut Call<'_>, file: u32, size: u64) -> Result<(), Failure> {
    let now_ns = clocks::wall_ns(call)?;
    let workspace_now = workspace(call)?;
    let node = workspace_now.opened(file, WRITE)?;
    workspace_now.tree.growth(node, size)?;
    charge(call, size)?;
    workspace(call)?.tree.set_size(node, size, now_ns)?;
    Ok(())
}

/// A `new-timestamp`, as it is handed over.
pub(super) type NewTime = (u32, u64, u32);

pub(super) fn set_times(
    call: &mut Call<'_>,
    node: NodeId,
    accessed: NewTime,
    modified: NewTime,
) -> Result<(), Failure> {
    let now_ns = clocks::wall_ns(call)?;
    let node = workspace(call)?.tree.node_mut(node)?;
    let moment = |(case, seconds, nanoseconds): NewTime, before_ns| match case {
        0 => before_ns,
        1 => now_ns,
        _ => seconds.saturating_mul(clocks::NS_PER_SECOND).saturating_add(u64::from(nanoseconds)),
    };
    node.accessed_ns = moment(accessed, node.accessed_ns);
    node.modified_ns = moment(modified, node.modified_ns);
    Ok(())
}

/// A `descriptor-stat` in the canonical layout.
pub(super) fn stat(node: &Node) -> Vec<u8> {
    let (kind, size) = match &node.content {
        Content::File(content) => (TYPE_FILE, content.len() as u64),
        Content::Folder(_) => (TYPE_FOLDER, 0),
    };
    let mut record = vec![0; 96];
    record[0] = kind;
    record[8..16].copy_from_slice(&1_u64.to_le_bytes());
    record[16..24].copy_from_slice(&size.to_le_bytes());
    for (at, time_ns) in [(24, node.accessed_ns), (48, node.modified_ns), (72, node.modified_ns)] {
        record[at] = 1;
        let (seconds, rest) = (time_ns / clocks::NS_PER_SECOND, time_ns % clocks::NS_PER_SECOND);
        record[at + 8..at + 16].copy_from_slice(&seconds.to_le_bytes());
        record[at + 16..at + 20].copy_from_slice(&(rest as u32).to_le_bytes());
    }
    record
}

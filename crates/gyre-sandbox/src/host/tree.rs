//! A tree of files in memory: all that a guest's workspace is.
//!
//! A path leads to a node of this tree or nowhere. There are no links, so each
//! node has one name, and nothing here knows of a file of the machine.

use std::collections::BTreeMap;

use gyre_types::WorkspaceLimits;

/// Names a node for as long as the tree lives; never given twice.
pub(super) type NodeId = u64;

pub(super) const ROOT: NodeId = 0;
/// Longest path that is read at all.
pub(super) const PATH_BYTES_MAX: u32 = 4_096;

/// Why a guest's request is refused, by the numbers of `error-code` of
/// `wasi:filesystem/types`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum FileError {
    BadDescriptor = 3,
    Busy = 4,
    Quota = 6,
    Exists = 7,
    IllegalByteSequence = 9,
    Invalid = 12,
    IsFolder = 14,
    NameTooLong = 18,
    NoEntry = 20,
    TooManyOpen = 22,
    NotFolder = 24,
    NotEmpty = 25,
    NotPermitted = 31,
}

/// A file or a folder.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) content: Content,
    pub(super) accessed_ns: u64,
    pub(super) modified_ns: u64,
    /// The folder that it is in; the root and what was removed are in none.
    parent: Option<NodeId>,
    /// Open handles on it, which keep it alive after its removal.
    held: u32,
}

#[derive(Debug)]
pub(super) enum Content {
    File(Vec<u8>),
    Folder(BTreeMap<String, NodeId>),
}

impl Content {
    pub(super) fn is_folder(&self) -> bool {
        matches!(self, Self::Folder(_))
    }
}

/// The workspace, within its bounds.
#[derive(Debug)]
pub(super) struct Tree {
    limits: WorkspaceLimits,
    nodes: BTreeMap<NodeId, Node>,
    nodes_made: NodeId,
    /// Bytes of all files, removed ones that are still open included.
    bytes: u64,
}

/// Where a path leads: to a name in a folder, or to the folder itself.
struct Place<'a> {
    folder: NodeId,
    name: Option<&'a str>,
    /// It ends with a slash or a dot.
    names_folder: bool,
}

impl Tree {
    pub(super) fn new(limits: WorkspaceLimits, now_ns: u64) -> Self {
        let root = Node {
            content: Content::Folder(BTreeMap::new()),
            accessed_ns: now_ns,
            modified_ns: now_ns,
            parent: None,
            held: 0,
        };
        Self { limits, nodes: BTreeMap::from([(ROOT, root)]), nodes_made: 1, bytes: 0 }
    }

    pub(super) fn node(&self, id: NodeId) -> Result<&Node, FileError> {
        self.nodes.get(&id).ok_or(FileError::BadDescriptor)
    }

    pub(super) fn node_mut(&mut self, id: NodeId) -> Result<&mut Node, FileError> {
        self.nodes.get_mut(&id).ok_or(FileError::BadDescriptor)
    }

    /// A file's content.
    pub(super) fn file(&self, id: NodeId) -> Result<&[u8], FileError> {
        match &self.node(id)?.content {
            Content::File(content) => Ok(content),
            Content::Folder(_) => Err(FileError::IsFolder),
        }
    }

    /// What is in a folder, in the order of names.
    pub(super) fn folder(&self, id: NodeId) -> Result<&BTreeMap<String, NodeId>, FileError> {
        match &self.node(id)?.content {
            Content::Folder(names) => Ok(names),
            Content::File(_) => Err(FileError::NotFolder),
        }
    }

    fn folder_mut(&mut self, id: NodeId) -> Result<&mut BTreeMap<String, NodeId>, FileError> {
        match &mut self.node_mut(id)?.content {
            Content::Folder(names) => Ok(names),
            Content::File(_) => Err(FileError::NotFolder),
        }
    }

    /// Follows a path from a folder. It cannot leave that folder: going up from
    /// there is refused, and so is a path from the root.
    fn place<'a>(&self, base: NodeId, path: &'a str) -> Result<Place<'a>, FileError> {
        if path.is_empty() {
            return Err(FileError::NoEntry);
        }
        if path.starts_with('/') {
            return Err(FileError::NotPermitted);
        }
        let names_folder = path.ends_with('/') || path.ends_with("/.");
        let mut above = Vec::new();
        let mut place = Place { folder: base, name: None, names_folder };
        self.folder(base)?;
        for name in path.split('/').filter(|name| !matches!(*name, "" | ".")) {
            if let Some(name) = place.name.take() {
                above.push(place.folder);
                place.folder = *self.folder(place.folder)?.get(name).ok_or(FileError::NoEntry)?;
                self.folder(place.folder)?;
            }
            if name == ".." {
                place.folder = above.pop().ok_or(FileError::NotPermitted)?;
                continue;
            }
            if name.len() > self.limits.name_bytes_max as usize {
                return Err(FileError::NameTooLong);
            }
            place.name = Some(name);
        }
        Ok(place)
    }

    fn at(&self, place: &Place<'_>) -> Result<Option<NodeId>, FileError> {
        let Some(name) = place.name else { return Ok(Some(place.folder)) };
        let found = self.folder(place.folder)?.get(name).copied();
        match found {
            Some(id) if place.names_folder => self.folder(id).map(|_| Some(id)),
            found => Ok(found),
        }
    }

    /// The node to which a path leads.
    pub(super) fn find(&self, base: NodeId, path: &str) -> Result<NodeId, FileError> {
        self.at(&self.place(base, path)?)?.ok_or(FileError::NoEntry)
    }

    /// The file to which a path leads, made where there is none.
    pub(super) fn find_or_make_file(
        &mut self,
        base: NodeId,
        path: &str,
        exclusive: bool,
        now_ns: u64,
    ) -> Result<NodeId, FileError> {
        let place = self.place(base, path)?;
        match (self.at(&place)?, place.name) {
            (Some(_), _) if exclusive => Err(FileError::Exists),
            (Some(id), _) => Ok(id),
            (None, Some(name)) if !place.names_folder => {
                self.add(place.folder, name, Content::File(Vec::new()), now_ns)
            }
            (None, _) => Err(FileError::IsFolder),
        }
    }

    pub(super) fn make_folder(
        &mut self,
        base: NodeId,
        path: &str,
        now_ns: u64,
    ) -> Result<(), FileError> {
        let place = self.place(base, path)?;
        let name = place.name.ok_or(FileError::Exists)?;
        if self.folder(place.folder)?.contains_key(name) {
            return Err(FileError::Exists);
        }
        self.add(place.folder, name, Content::Folder(BTreeMap::new()), now_ns).map(drop)
    }

    fn add(
        &mut self,
        folder: NodeId,
        name: &str,
        content: Content,
        now_ns: u64,
    ) -> Result<NodeId, FileError> {
        if folder != ROOT && self.node(folder)?.parent.is_none() {
            // The folder was removed and is only open.
            return Err(FileError::NoEntry);
        }
        if self.depth(folder) >= self.limits.path_depth_max {
            return Err(FileError::NameTooLong);
        }
        if self.nodes.len() > self.limits.entries_max as usize {
            return Err(FileError::Quota);
        }
        let id = self.nodes_made;
        self.folder_mut(folder)?.insert(name.to_owned(), id);
        self.node_mut(folder)?.modified_ns = now_ns;
        self.nodes_made += 1;
        let parent = Some(folder);
        let node = Node { content, accessed_ns: now_ns, modified_ns: now_ns, parent, held: 0 };
        self.nodes.insert(id, node);
        Ok(id)
    }

    /// Folders from the root to a node, which are as many as the names in its
    /// path.
    fn depth(&self, id: NodeId) -> u32 {
        self.ancestors(id).count() as u32
    }

    fn ancestors(&self, id: NodeId) -> impl Iterator<Item = NodeId> {
        let parent = |id: &NodeId| self.nodes.get(id).and_then(|node| node.parent);
        std::iter::successors(parent(&id), parent)
    }

    /// Levels below a node.
    fn height(&self, id: NodeId) -> u32 {
        let below = self.folder(id).into_iter().flat_map(BTreeMap::values);
        below.map(|child| 1 + self.height(*child)).max().unwrap_or_default()
    }

    pub(super) fn remove_file(&mut self, base: NodeId, path: &str) -> Result<(), FileError> {
        let place = self.place(base, path)?;
        let id = self.at(&place)?.ok_or(FileError::NoEntry)?;
        self.file(id).map_err(|_| FileError::IsFolder)?;
        self.unlink(&place, id)
    }

    pub(super) fn remove_folder(&mut self, base: NodeId, path: &str) -> Result<(), FileError> {
        let place = self.place(base, path)?;
        let id = self.at(&place)?.ok_or(FileError::NoEntry)?;
        if !self.folder(id)?.is_empty() {
            return Err(FileError::NotEmpty);
        }
        self.unlink(&place, id)
    }

    fn unlink(&mut self, place: &Place<'_>, id: NodeId) -> Result<(), FileError> {
        let name = place.name.ok_or(FileError::Busy)?;
        self.folder_mut(place.folder)?.remove(name);
        self.node_mut(id)?.parent = None;
        self.forget_if_unused(id);
        Ok(())
    }

    /// Moves a node to another name, over a file or an empty folder there.
    pub(super) fn rename(
        &mut self,
        (from_base, from): (NodeId, &str),
        (to_base, to): (NodeId, &str),
    ) -> Result<(), FileError> {
        let from = self.place(from_base, from)?;
        let to = self.place(to_base, to)?;
        let moved = self.at(&from)?.ok_or(FileError::NoEntry)?;
        let (Some(from_name), Some(to_name)) = (from.name, to.name) else {
            return Err(FileError::Busy);
        };
        let is_folder = self.node(moved)?.content.is_folder();
        if to.names_folder && !is_folder {
            return Err(FileError::NotFolder);
        }
        if to.folder == moved || self.ancestors(to.folder).any(|above| above == moved) {
            return Err(FileError::Invalid);
        }
        if to.folder != ROOT && self.node(to.folder)?.parent.is_none() {
            return Err(FileError::NoEntry);
        }
        if self.depth(to.folder) + 1 + self.height(moved) > self.limits.path_depth_max {
            return Err(FileError::NameTooLong);
        }
        if let Some(covered) = self.at(&to)? {
            if covered == moved {
                return Ok(());
            }
            match (is_folder, &self.node(covered)?.content) {
                (true, Content::File(_)) => return Err(FileError::NotFolder),
                (false, Content::Folder(_)) => return Err(FileError::IsFolder),
                (true, Content::Folder(names)) if !names.is_empty() => {
                    return Err(FileError::NotEmpty);
                }
                _ => self.unlink(&to, covered)?,
            }
        }
        self.folder_mut(from.folder)?.remove(from_name);
        self.folder_mut(to.folder)?.insert(to_name.to_owned(), moved);
        self.node_mut(moved)?.parent = Some(to.folder);
        Ok(())
    }

    /// Bytes by which a file grows when it is to end there or later; an error
    /// where there is no room for them.
    pub(super) fn growth(&self, id: NodeId, end: u64) -> Result<u64, FileError> {
        let growth = end.saturating_sub(self.file(id)?.len() as u64);
        if growth > self.limits.bytes_max.saturating_sub(self.bytes) {
            return Err(FileError::Quota);
        }
        Ok(growth)
    }

    pub(super) fn write(
        &mut self,
        id: NodeId,
        offset: u64,
        bytes: &[u8],
        now_ns: u64,
    ) -> Result<(), FileError> {
        let end = offset.checked_add(bytes.len() as u64).ok_or(FileError::Quota)?;
        if bytes.is_empty() {
            return self.file(id).map(drop);
        }
        self.bytes += self.growth(id, end)?;
        let node = self.node_mut(id)?;
        node.modified_ns = now_ns;
        if let Content::File(content) = &mut node.content {
            content.resize(content.len().max(end as usize), 0);
            content[offset as usize..end as usize].copy_from_slice(bytes);
        }
        Ok(())
    }

    pub(super) fn set_size(&mut self, id: NodeId, size: u64, now_ns: u64) -> Result<(), FileError> {
        let growth = self.growth(id, size)?;
        let before = self.file(id)?.len() as u64;
        self.bytes = self.bytes + growth - before.saturating_sub(size);
        let node = self.node_mut(id)?;
        node.modified_ns = now_ns;
        if let Content::File(content) = &mut node.content {
            content.resize(size as usize, 0);
            // Room that is kept would count against no bound.
            content.shrink_to_fit();
        }
        Ok(())
    }

    /// A handle on the node was made.
    pub(super) fn hold(&mut self, id: NodeId) -> Result<(), FileError> {
        self.node_mut(id)?.held += 1;
        Ok(())
    }

    /// A handle on the node is gone.
    pub(super) fn release(&mut self, id: NodeId) {
        if let Some(node) = self.nodes.get_mut(&id) {
            node.held = node.held.saturating_sub(1);
            self.forget_if_unused(id);
        }
    }

    fn forget_if_unused(&mut self, id: NodeId) {
        let unused = |node: &Node| id != ROOT && node.parent.is_none() && node.held == 0;
        if self.nodes.get(&id).is_some_and(unused)
            && let Some(Node { content: Content::File(content), .. }) = self.nodes.remove(&id)
        {
            self.bytes -= content.len() as u64;
        }
    }

    /// Puts a file there, with the folders that its path names.
    pub(super) fn put(&mut self, path: &str, content: &[u8], now_ns: u64) -> Result<(), FileError> {
        let plain = |name: &str| !matches!(name, "" | "." | "..") && !name.contains('\0');
        if path.len() > PATH_BYTES_MAX as usize || !path.split('/').all(plain) {
            return Err(FileError::Invalid);
        }
        for (end, _) in path.match_indices('/') {
            match self.make_folder(ROOT, &path[..end], now_ns) {
                Ok(()) | Err(FileError::Exists) => {}
                Err(error) => return Err(error),
            }
        }
        let id = self.find_or_make_file(ROOT, path, true, now_ns)?;
        self.write(id, 0, content, now_ns)
    }

    /// All files by their paths.
    pub(super) fn files(&self) -> BTreeMap<String, Vec<u8>> {
        let mut files = BTreeMap::new();
        let mut folders = vec![(String::new(), ROOT)];
        while let Some((path, folder)) = folders.pop() {
            let Ok(names) = self.folder(folder) else { continue };
            for (name, id) in names {
                let path = format!("{path}{name}");
                match self.nodes.get(id).map(|node| &node.content) {
                    Some(Content::File(content)) => {
                        files.insert(path, content.clone());
                    }
                    Some(Content::Folder(_)) => folders.push((path + "/", *id)),
                    None => {}
                }
            }
        }
        files
    }
}

//! The functions of `wasi:filesystem`, by name: each reads its arguments, asks
//! [`files`] and writes its result in the canonical ABI's layout.

use wasmtime::Linker;

use super::files::{self, Failure, NewTime, ROOT_HANDLE, TRANSFER_BYTES_MAX};
use super::tree::{FileError, NodeId};
use super::{Call, Host, MODULE, abi, enter};

/// Where the payload of a result is, which follows from its alignment.
const AT_1: u32 = 1;
const AT_4: u32 = 4;
const AT_8: u32 = 8;

/// Writes a result: its case, then the payload or the error's number.
fn respond(
    call: &mut Call<'_>,
    result: u32,
    payload_at: u32,
    outcome: Result<Vec<u8>, Failure>,
) -> wasmtime::Result<()> {
    let (case, payload) = match outcome {
        Ok(payload) => (0, payload),
        Err(Failure::Told(error)) => (1, vec![error as u8]),
        Err(Failure::Stopped(stop)) => return Err(stop),
    };
    abi::write(call, result, &[case])?;
    abi::write(call, result.wrapping_add(payload_at), &payload)
}

fn word(number: u32) -> Vec<u8> {
    number.to_le_bytes().to_vec()
}

fn nothing((): ()) -> Vec<u8> {
    Vec::new()
}

/// The name of a method of a descriptor.
fn method(name: &str) -> String {
    format!("wasi:filesystem/types#[method]descriptor.{name}")
}

pub(super) fn link(linker: &mut Linker<Host>) -> wasmtime::Result<()> {
    link_preopens(linker)?;
    link_opening(linker)?;
    link_content(linker)?;
    link_metadata(linker)?;
    link_names(linker)?;
    link_folders(linker)
}

fn link_preopens(linker: &mut Linker<Host>) -> wasmtime::Result<()> {
    linker.func_wrap(
        MODULE,
        "wasi:filesystem/preopens#get-directories",
        |mut call: Call<'_>, result: u32| {
            enter(&mut call)?;
            if call.data().workspace.is_none() {
                return abi::write_list(&mut call, result, &[], abi::WORD);
            }
            let name = abi::give(&mut call, b"/", 1)?;
            let entry = [ROOT_HANDLE, name, 1].map(u32::to_le_bytes).concat();
            let at = abi::give(&mut call, &entry, 4)?;
            abi::write(&mut call, result, &[at, 1].map(u32::to_le_bytes).concat())
        },
    )?;
    for name in ["descriptor", "directory-entry-stream"] {
        let name = format!("wasi:filesystem/types#[resource-drop]{name}");
        linker.func_wrap(MODULE, &name, |mut call: Call<'_>, handle: u32| {
            enter(&mut call)?;
            files::workspace(&mut call)?.drop_handle(handle);
            Ok(())
        })?;
    }
    Ok(())
}

fn link_opening(linker: &mut Linker<Host>) -> wasmtime::Result<()> {
    linker.func_wrap(
        MODULE,
        &method("open-at"),
        |mut call: Call<'_>,
         base: u32,
         _follow: u32,
         at: u32,
         size: u32,
         how: u32,
         flags: u32,
         result: u32| {
            enter(&mut call)?;
            let opened = files::open(&mut call, base, (at, size), how, flags);
            respond(&mut call, result, AT_4, opened.map(word))
        },
    )?;
    linker.func_wrap(
        MODULE,
        &method("read-via-stream"),
        |mut call: Call<'_>, file: u32, offset: u64, result: u32| {
            enter(&mut call)?;
            let stream = files::input(&mut call, file, offset);
            respond(&mut call, result, AT_4, stream.map(word))
        },
    )?;
    linker.func_wrap(
        MODULE,
        &method("write-via-stream"),
        |mut call: Call<'_>, file: u32, offset: u64, result: u32| {
            enter(&mut call)?;
            let stream = files::output(&mut call, file, Some(offset));
            respond(&mut call, result, AT_4, stream.map(word))
        },
    )?;
    linker.func_wrap(
        MODULE,
        &method("append-via-stream"),
        |mut call: Call<'_>, file: u32, result: u32| {
            enter(&mut call)?;
            let stream = files::output(&mut call, file, None);
            respond(&mut call, result, AT_4, stream.map(word))
        },
    )?;
    Ok(())
}

fn link_content(linker: &mut Linker<Host>) -> wasmtime::Result<()> {
    linker.func_wrap(
        MODULE,
        &method("read"),
        |mut call: Call<'_>, file: u32, size: u64, offset: u64, result: u32| {
            enter(&mut call)?;
            let read = files::read_at(&mut call, file, offset, size.min(TRANSFER_BYTES_MAX));
            let payload = match read {
                Ok((bytes, at_end)) => {
                    let at = abi::give(&mut call, &bytes, 1)?;
                    let mut payload = [at, bytes.len() as u32].map(u32::to_le_bytes).concat();
                    payload.push(u8::from(at_end));
                    Ok(payload)
                }
                Err(failure) => Err(failure),
            };
            respond(&mut call, result, AT_4, payload)
        },
    )?;
    linker.func_wrap(
        MODULE,
        &method("write"),
        |mut call: Call<'_>, file: u32, at: u32, size: u32, offset: u64, result: u32| {
            enter(&mut call)?;
            let written = files::write_at(&mut call, file, (at, size), offset);
            respond(&mut call, result, AT_8, written.map(|size| size.to_le_bytes().to_vec()))
        },
    )?;
    linker.func_wrap(
        MODULE,
        &method("set-size"),
        |mut call: Call<'_>, file: u32, size: u64, result: u32| {
            enter(&mut call)?;
            let done = files::set_size(&mut call, file, size);
            respond(&mut call, result, AT_1, done.map(nothing))
        },
    )?;
    linker.func_wrap(
        MODULE,
        &method("advise"),
        |mut call: Call<'_>, file: u32, _: u64, _: u64, _: u32, result: u32| {
            enter(&mut call)?;
            let known = descriptor(&mut call, file);
            respond(&mut call, result, AT_1, known.map(|_| Vec::new()))
        },
    )?;
    for name in ["sync", "sync-data"] {
        linker.func_wrap(MODULE, &method(name), |mut call: Call<'_>, file: u32, result: u32| {
            enter(&mut call)?;
            let known = descriptor(&mut call, file);
            respond(&mut call, result, AT_1, known.map(|_| Vec::new()))
        })?;
    }
    Ok(())
}

fn descriptor(call: &mut Call<'_>, number: u32) -> Result<(NodeId, u32), Failure> {
    Ok(files::workspace(call)?.descriptor(number)?)
}

/// Tells of a node: its record or its number.
fn tell(
    call: &mut Call<'_>,
    result: u32,
    node: Result<NodeId, Failure>,
    of: fn(&mut Call<'_>, NodeId) -> Result<Vec<u8>, Failure>,
) -> wasmtime::Result<()> {
    let told = node.and_then(|node| of(call, node));
    respond(call, result, AT_8, told)
}

fn stat(call: &mut Call<'_>, node: NodeId) -> Result<Vec<u8>, Failure> {
    Ok(files::stat(files::workspace(call)?.tree.node(node)?))
}

fn identity(call: &mut Call<'_>, node: NodeId) -> Result<Vec<u8>, Failure> {
    files::workspace(call)?.tree.node(node)?;
    Ok([node, 0].map(u64::to_le_bytes).concat())
}

fn link_metadata(linker: &mut Linker<Host>) -> wasmtime::Result<()> {
    linker.func_wrap(
        MODULE,
        &method("get-flags"),
        |mut call: Call<'_>, file: u32, result: u32| {
            enter(&mut call)?;
            let flags = descriptor(&mut call, file).map(|(_, flags)| vec![flags as u8]);
            respond(&mut call, result, AT_1, flags)
        },
    )?;
    for (name, of) in [
        ("stat", stat as fn(&mut Call<'_>, NodeId) -> Result<Vec<u8>, Failure>),
        ("metadata-hash", identity),
    ] {
        linker.func_wrap(
            MODULE,
            &method(name),
            move |mut call: Call<'_>, file: u32, result: u32| {
                enter(&mut call)?;
                let node = descriptor(&mut call, file).map(|(node, _)| node);
                tell(&mut call, result, node, of)
            },
        )?;
        linker.func_wrap(
            MODULE,
            &method(&format!("{name}-at")),
            move |mut call: Call<'_>, base: u32, _follow: u32, at: u32, size: u32, result: u32| {
                enter(&mut call)?;
                let node = files::find(&mut call, base, (at, size));
                tell(&mut call, result, node, of)
            },
        )?;
    }
    linker.func_wrap(
        MODULE,
        &method("set-times"),
        |mut call: Call<'_>,
         file: u32,
         a_case: u32,
         a_s: u64,
         a_ns: u32,
         m_case: u32,
         m_s: u64,
         m_ns: u32,
         result: u32| {
            enter(&mut call)?;
            let node = descriptor(&mut call, file).map(|(node, _)| node);
            set_times(&mut call, result, node, [(a_case, a_s, a_ns), (m_case, m_s, m_ns)])
        },
    )?;
    linker.func_wrap(
        MODULE,
        &method("set-times-at"),
        |mut call: Call<'_>,
         base: u32,
         _follow: u32,
         at: u32,
         size: u32,
         a_case: u32,
         a_s: u64,
         a_ns: u32,
         m_case: u32,
         m_s: u64,
         m_ns: u32,
         result: u32| {
            enter(&mut call)?;
            let node = files::find(&mut call, base, (at, size));
            set_times(&mut call, result, node, [(a_case, a_s, a_ns), (m_case, m_s, m_ns)])
        },
    )?;
    Ok(())
}

fn set_times(
    call: &mut Call<'_>,
    result: u32,
    node: Result<NodeId, Failure>,
    [accessed, modified]: [NewTime; 2],
) -> wasmtime::Result<()> {
    let done = node.and_then(|node| files::set_times(call, node, accessed, modified));
    respond(call, result, AT_1, done.map(nothing))
}

/// Does something about a name in a folder.
fn change(
    call: &mut Call<'_>,
    base: u32,
    (at, size): (u32, u32),
    change: impl FnOnce(&mut files::Workspace, NodeId, &str) -> Result<(), FileError>,
) -> Result<Vec<u8>, Failure> {
    let path = files::path(call, at, size)?;
    let workspace = files::workspace(call)?;
    let (base, _) = workspace.descriptor(base)?;
    change(workspace, base, &path)?;
    Ok(Vec::new())
}

fn link_names(linker: &mut Linker<Host>) -> wasmtime::Result<()> {
    linker.func_wrap(
        MODULE,
        &method("unlink-file-at"),
        |mut call: Call<'_>, base: u32, at: u32, size: u32, result: u32| {
            enter(&mut call)?;
            let done = change(&mut call, base, (at, size), |workspace, base, path| {
                workspace.tree.remove_file(base, path)
            });
            respond(&mut call, result, AT_1, done)
        },
    )?;
    linker.func_wrap(
        MODULE,
        &method("rename-at"),
        |mut call: Call<'_>,
         from_base: u32,
         from_at: u32,
         from_size: u32,
         to_base: u32,
         to_at: u32,
         to_size: u32,
         result: u32| {
            enter(&mut call)?;
            let from = files::path(&mut call, from_at, from_size);
            let done = from.and_then(|from| {
                change(&mut call, to_base, (to_at, to_size), |workspace, to_base, to| {
                    let (from_base, _) = workspace.descriptor(from_base)?;
                    workspace.tree.rename((from_base, &from), (to_base, to))
                })
            });
            respond(&mut call, result, AT_1, done)
        },
    )?;
    // There are no links of either kind.
    linker.func_wrap(
        MODULE,
        &method("symlink-at"),
        |mut call: Call<'_>, _: u32, _: u32, _: u32, _: u32, _: u32, result: u32| {
            enter(&mut call)?;
            respond(&mut call, result, AT_1, Err(FileError::NotPermitted.into()))
        },
    )?;
    linker.func_wrap(
        MODULE,
        &method("link-at"),
        |mut call: Call<'_>,
         _: u32,
         _: u32,
         _: u32,
         _: u32,
         _: u32,
         _: u32,
         _: u32,
         result: u32| {
            enter(&mut call)?;
            respond(&mut call, result, AT_1, Err(FileError::NotPermitted.into()))
        },
    )?;
    linker.func_wrap(
        MODULE,
        &method("readlink-at"),
        |mut call: Call<'_>, base: u32, at: u32, size: u32, result: u32| {
            enter(&mut call)?;
            let found = files::find(&mut call, base, (at, size));
            let no_link = found.and_then(|_| Err(FileError::Invalid.into()));
            respond(&mut call, result, AT_4, no_link)
        },
    )?;
    Ok(())
}

fn link_folders(linker: &mut Linker<Host>) -> wasmtime::Result<()> {
    linker.func_wrap(
        MODULE,
        &method("create-directory-at"),
        |mut call: Call<'_>, base: u32, at: u32, size: u32, result: u32| {
            enter(&mut call)?;
            let now_ns = super::clocks::wall_ns(&call)?;
            let done = change(&mut call, base, (at, size), |workspace, base, path| {
                workspace.tree.make_folder(base, path, now_ns)
            });
            respond(&mut call, result, AT_1, done)
        },
    )?;
    linker.func_wrap(
        MODULE,
        &method("remove-directory-at"),
        |mut call: Call<'_>, base: u32, at: u32, size: u32, result: u32| {
            enter(&mut call)?;
            let done = change(&mut call, base, (at, size), |workspace, base, path| {
                workspace.tree.remove_folder(base, path)
            });
            respond(&mut call, result, AT_1, done)
        },
    )?;
    linker.func_wrap(
        MODULE,
        &method("read-directory"),
        |mut call: Call<'_>, folder: u32, result: u32| {
            enter(&mut call)?;
            let listing = files::listing(&mut call, folder);
            respond(&mut call, result, AT_4, listing.map(word))
        },
    )?;
    linker.func_wrap(
        MODULE,
        "wasi:filesystem/types#[method]directory-entry-stream.read-directory-entry",
        |mut call: Call<'_>, listing: u32, result: u32| {
            enter(&mut call)?;
            let payload = match files::next_name(&mut call, listing) {
                Ok(Some((kind, name))) => {
                    let at = abi::give(&mut call, name.as_bytes(), 1)?;
                    // An option, in it the type, then the name.
                    let head = [1, 0, 0, 0, kind, 0, 0, 0];
                    let name = [at, name.len() as u32].map(u32::to_le_bytes).concat();
                    Ok([head.as_slice(), &name].concat())
                }
                Ok(None) => Ok(vec![0]),
                Err(failure) => Err(failure),
            };
            respond(&mut call, result, AT_4, payload)
        },
    )?;
    Ok(())
}

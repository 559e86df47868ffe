//! The guest that this binary carries.

use gyre_types::Digest;

use crate::SandboxError;

/// The guest, compressed by zstd.
static COMPRESSED: &[u8] = include_bytes!("../../../sandboxes/python/guest.wasm.zst");
/// The digests of both forms, as `sha256sum` writes them.
static DIGESTS: &str = include_str!("../../../sandboxes/python/guest.sha256");
/// The module's size is about 20 MB; what claims to be far more is not ours.
const MODULE_BYTES_MAX: usize = 128 << 20;

/// The digest of the guest's core module, as it was built.
pub(crate) fn digest() -> Result<Digest, SandboxError> {
    recorded("guest.wasm")
}

/// The guest's core module, checked.
pub(crate) fn module() -> Result<Vec<u8>, SandboxError> {
    if Digest::of(COMPRESSED) != recorded("guest.wasm.zst")? {
        return Err(SandboxError::GuestDamaged {
            what: "the compressed module has another digest",
        });
    }
    let module = zstd::bulk::decompress(COMPRESSED, MODULE_BYTES_MAX)
        .map_err(|_| SandboxError::GuestDamaged { what: "the module does not decompress" })?;
    if Digest::of(&module) != digest()? {
        return Err(SandboxError::GuestDamaged { what: "the module has another digest" });
    }
    Ok(module)
}

fn recorded(name: &str) -> Result<Digest, SandboxError> {
    DIGESTS
        .lines()
        .filter_map(|line| line.split_once("  "))
        .find(|(_, file)| *file == name)
        .and_then(|(digest, _)| digest.parse().ok())
        .ok_or(SandboxError::GuestDamaged { what: "its digest is not recorded" })
}

/// The name under which [`exporting_stack`] exports the guest's stack pointer.
pub(crate) const STACK_POINTER: &str = "stack_pointer";

/// The module with its first global exported: the stack pointer, the one thing
/// beside its memory that a guest can change (see the test below), so that the
/// host can tell whether it is as it was. This changes nothing that the guest does.
pub(crate) fn exporting_stack(module: &[u8]) -> Result<Vec<u8>, SandboxError> {
    const EXPORT_SECTION: u8 = 7;
    const GLOBAL_0: [u8; 2] = [3, 0];
    let damaged = || SandboxError::GuestDamaged { what: "the module has no exports" };
    for section in sections(module) {
        let Section { kind: EXPORT_SECTION, start, body, end } = section else { continue };
        let (count, list) = leb(&module[body..end]).ok_or_else(damaged)?;
        let mut exports = unsigned_leb(count + 1);
        exports.extend_from_slice(list);
        exports.extend(unsigned_leb(STACK_POINTER.len() as u32));
        exports.extend_from_slice(STACK_POINTER.as_bytes());
        exports.extend_from_slice(&GLOBAL_0);
        let mut changed = module[..start].to_vec();
        changed.push(EXPORT_SECTION);
        changed.extend(unsigned_leb(exports.len() as u32));
        changed.extend(exports);
        changed.extend_from_slice(&module[end..]);
        return Ok(changed);
    }
    Err(damaged())
}

/// How many functions a core module defines, for the progress of compiling it.
pub(crate) fn function_count(module: &[u8]) -> u32 {
    const FUNCTION_SECTION: u8 = 3;
    sections(module)
        .find(|section| section.kind == FUNCTION_SECTION)
        .and_then(|section| leb(&module[section.body..section.end]))
        .map_or(0, |(count, _)| count)
}

/// A section of a core module: where it starts, where its content does, and its end.
struct Section {
    kind: u8,
    start: usize,
    body: usize,
    end: usize,
}

fn sections(module: &[u8]) -> impl Iterator<Item = Section> {
    let mut start = 8;
    std::iter::from_fn(move || {
        let (&kind, after) = module.get(start..)?.split_first()?;
        let (size, content) = leb(after)?;
        let body = module.len() - content.len();
        let end = body.checked_add(size as usize).filter(|end| *end <= module.len())?;
        let section = Section { kind, start, body, end };
        start = end;
        Some(section)
    })
}

fn leb(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let mut value = 0_u32;
    for (at, byte) in bytes.iter().take(5).enumerate() {
        value |= u32::from(byte & 0x7f).checked_shl(7 * at as u32)?;
        if byte & 0x80 == 0 {
            return Some((value, &bytes[at + 1..]));
        }
    }
    None
}

fn unsigned_leb(mut value: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

#[cfg(test)]
mod tests {
    use wasmparser::{DataKind, ElementKind, Operator, Parser, Payload};

    use super::*;

    /// What resetting a guest rests on: all that its code can change is its memory
    /// and its first global.
    #[test]
    fn a_guest_can_change_its_memory_and_its_stack_pointer_alone() {
        let module = exporting_stack(&module().unwrap()).unwrap();
        let mut exports = Vec::new();
        for payload in Parser::new(0).parse_all(&module) {
            match payload.unwrap() {
                Payload::GlobalSection(globals) => {
                    let kinds: Vec<_> = globals.into_iter().map(|g| g.unwrap().ty).collect();
                    let mutable = kinds.iter().map(|ty| ty.mutable).collect::<Vec<_>>();
                    assert_eq!(mutable, [true], "{kinds:?}");
                }
                Payload::ImportSection(imports) => {
                    for import in imports.into_imports() {
                        let ty = import.unwrap().ty;
                        assert!(matches!(ty, wasmparser::TypeRef::Func(_)), "{ty:?}");
                    }
                }
                Payload::MemorySection(memories) => assert_eq!(memories.count(), 1),
                Payload::TableSection(tables) => assert_eq!(tables.count(), 1),
                Payload::StartSection { .. } => panic!("a start function runs before any reset"),
                Payload::ElementSection(elements) => {
                    for element in elements {
                        let kind = element.unwrap().kind;
                        assert!(matches!(kind, ElementKind::Active { .. }), "passive elements");
                    }
                }
                Payload::DataSection(data) => {
                    for data in data {
                        let kind = data.unwrap().kind;
                        assert!(matches!(kind, DataKind::Active { .. }), "passive data");
                    }
                }
                Payload::ExportSection(found) => {
                    exports.extend(found.into_iter().map(|export| export.unwrap().name));
                }
                Payload::CodeSectionEntry(body) => {
                    for operator in body.get_operators_reader().unwrap() {
                        let operator = operator.unwrap();
                        let table = matches!(
                            operator,
                            Operator::TableSet { .. }
                                | Operator::TableGrow { .. }
                                | Operator::TableFill { .. }
                                | Operator::TableCopy { .. }
                                | Operator::TableInit { .. }
                        );
                        assert!(!table, "{operator:?} changes the table");
                    }
                }
                _ => {}
            }
        }
        assert!(exports.contains(&STACK_POINTER), "{exports:?}");
    }
}

#!/usr/bin/env python3
"""Fuses the core modules of a transpiled component into one core module.

    fuse.py TRANSPILED_DIR NAME BINARYEN_BIN_DIR OUTPUT.wasm

`jco transpile` leaves the component's core modules and a script that
instantiates them one after the other, naming the provider of every import.
This program reads that wiring, writes each provider into the modules' own
import sections, and lets `wasm-merge` resolve them.  What leads out of the
component keeps one module name, `host`, and is all that is left to import.

The two modules by which a component breaks the cycle between itself and its
lowered imports (a table of stubs, and the module that fills it) vanish: an
import that leads to a stub is sent where the stub leads.

Last, `stack.py` makes the module account for the native stack that it needs.
"""

import re
import subprocess
import sys
from pathlib import Path

import stack
from wasm import (
    EXPORT,
    GLOBAL,
    IMPORT,
    read_leb,
    read_name,
    read_signed_leb,
    sections,
    skip_limits,
    write_leb,
    write_name,
    write_signed_leb,
)

KEPT_FUNCTIONS = {
    # final export: (export of the entry module)
    "run": "run",
    "call": "call",
    "cabi_post_run": "cabi_post_run",
    "cabi_post_call": "cabi_post_call",
    "cabi_realloc": "cabi_realloc",
}


def import_description_end(data, at):
    kind = data[at]
    if kind == 0:  # function: type index
        return read_leb(data, at + 1)[1]
    if kind == 1:  # table: element type, limits
        return skip_limits(data, at + 2)
    if kind == 2:  # memory: limits
        return skip_limits(data, at + 1)
    if kind == 3:  # global: value type, mutability
        return at + 3
    if kind == 4:  # tag: attribute, type index
        return read_leb(data, at + 2)[1]
    raise ValueError(f"unknown import kind {kind}")


def rewrite_imports(body, provider):
    count, at = read_leb(body, 0)
    out = bytearray(write_leb(count))
    for _ in range(count):
        module, at = read_name(body, at)
        field, at = read_name(body, at)
        end = import_description_end(body, at)
        to_module, to_field = provider(module, field)
        out += write_name(to_module) + write_name(to_field) + body[at:end]
        at = end
    return bytes(out)


def rewrite_exports(body, rename):
    """Renames each export; `rename` gives None for those to drop."""
    count, at = read_leb(body, 0)
    kept = []
    for _ in range(count):
        field, at = read_name(body, at)
        kind = body[at]
        index, at = read_leb(body, at + 1)
        new = rename(field)
        if new is not None:
            kept.append(write_name(new) + bytes([kind]) + write_leb(index))
    return write_leb(len(kept)) + b"".join(kept)


def fold_global_sums(body):
    """Turns globals that start as `base + offset` into plain constants, which
    `wasm-opt` then folds into the code and the engine into its tables.

    Sound because the merged module imports no global, so an initial value
    can only be made of earlier ones."""
    count, at = read_leb(body, 0)
    out = bytearray(write_leb(count))
    values = []
    for _ in range(count):
        head, at = body[at : at + 2], at + 2  # value type, mutability
        terms = []
        while body[at] != 0x0B:
            if body[at] == 0x41:  # i32.const
                term, at = read_signed_leb(body, at + 1)
                terms.append(term)
            elif body[at] == 0x23:  # global.get
                index, at = read_leb(body, at + 1)
                terms.append(values[index])
            elif body[at] == 0x6A:  # i32.add
                right, left = terms.pop(), terms.pop()
                terms.append((left + right + (1 << 31)) % (1 << 32) - (1 << 31))
                at += 1
            else:
                raise ValueError(f"unknown instruction {body[at]:#x} in a global")
        at += 1
        (value,) = terms
        values.append(value)
        out += head + b"\x41" + write_signed_leb(value) + b"\x0b"
    return bytes(out)


def rewrite(data, provider=None, rename=None, keep_names=True, fold=False):
    out = bytearray(data[:8])
    for kind, body in sections(data):
        if kind == GLOBAL and fold:
            body = fold_global_sums(body)
        if kind == IMPORT and provider:
            body = rewrite_imports(body, provider)
        elif kind == EXPORT and rename:
            body = rewrite_exports(body, rename)
        elif kind == 0 and not keep_names:
            continue
        out += bytes([kind]) + write_leb(len(body)) + body
    return bytes(out)


class Wiring:
    """Which module provides what to which, read from the transpiled script."""

    KEY = r"(?:'((?:[^'\\]|\\.)*)'|([A-Za-z_$][\w$]*|\d+))"
    INSTANCE = re.compile(r"\(\{ exports: exports(\d+) \} = instantiateCore\(module(\d+)(, \{)?")
    GROUP = re.compile(r"^    " + KEY + r": \{$")
    ENTRY = re.compile(r"^      " + KEY + r": (.*),$")
    EXPORTS = re.compile(r"exports(\d+)(?:\.([\w$]+)|\['((?:[^'\\]|\\.)*)'\])")
    MODULE = re.compile(r"const module(\d+) = getCoreModule\('([^']+)'\)")
    ALIAS = re.compile(r"^  (realloc0|exports\d+Run|memory0) = exports(\d+)(?:\.([\w$]+)|\['([^']+)'\]);$")

    def __init__(self, script):
        self.files = {}  # instance -> file name
        self.imports = {}  # instance -> {(module, field): target}
        self.aliases = {}
        modules, instance, group = {}, None, None
        for line in script.splitlines():
            if found := self.MODULE.search(line):
                modules[found[1]] = found[2]
            elif found := self.INSTANCE.search(line):
                instance = int(found[1])
                self.files[instance] = modules[found[2]]
                self.imports[instance] = {}
                if not found[3]:
                    instance = None
            elif found := self.ALIAS.match(line):
                self.aliases[found[1]] = (int(found[2]), found[3] or found[4])
            elif instance is None:
                continue
            elif line == "  }));":
                instance = None
            elif found := self.GROUP.match(line):
                group = found[1] if found[1] is not None else found[2]
            elif found := self.ENTRY.match(line):
                field = found[1] if found[1] is not None else found[2]
                self.imports[instance][(group, field)] = self.target(found[3])

    def target(self, text):
        if found := self.EXPORTS.search(text):
            return int(found[1]), found[2] or found[3]
        if re.search(r"\btrampoline\d+\b", text):
            return "host"
        raise ValueError(f"unknown wiring: {text}")

    def stubs(self):
        """The instance of the stub table and the one that fills it."""
        filler = next(i for i, t in self.imports.items() if ("", "$imports") in t)
        table, _ = self.imports[filler][("", "$imports")]
        return table, filler

    def resolve(self, instance, module, field):
        """The (module, field) that an import is rewritten to."""
        table, filler = self.stubs()
        target = self.imports[instance][(module, field)]
        if target != "host" and target[0] == table:
            target = self.imports[filler][("", target[1])]
        if target == "host":
            return "host", re.sub(r"@[\d.]+$", "", module) + "#" + field
        provider, name = target
        return f"m{provider}", f"{provider}:{name}"


def run(binaryen, tool, *arguments):
    # Newer encodings and type features that the engine need not know.
    flags = ["-all", "--disable-compact-imports", "--disable-custom-descriptors", "--quiet"]
    subprocess.run([str(binaryen / tool), *map(str, arguments), *flags], check=True)


def main():
    folder, name, binaryen, output = sys.argv[1:]
    folder, binaryen, output = Path(folder), Path(binaryen), Path(output)
    wiring = Wiring((folder / f"{name}.js").read_text())
    dropped = wiring.stubs()
    merge = []
    for instance, file in wiring.files.items():
        if instance in dropped:
            continue
        data = rewrite(
            (folder / file).read_bytes(),
            provider=lambda module, field: wiring.resolve(instance, module, field),
            rename=lambda field: f"{instance}:{field}",
        )
        path = output.parent / f"m{instance}.wasm"
        path.write_bytes(data)
        merge += [path, f"m{instance}"]

    entry = next(i for alias, (i, _) in wiring.aliases.items() if alias.endswith("Run"))
    memory, memory_name = wiring.aliases["memory0"]
    realloc, realloc_name = wiring.aliases["realloc0"]
    final = {f"{entry}:{inner}": outer for outer, inner in KEPT_FUNCTIONS.items()}
    final[f"{memory}:{memory_name}"] = "memory"
    final[f"{realloc}:{realloc_name}"] = "host_realloc"

    merged = output.parent / "merged.wasm"
    run(binaryen, "wasm-merge", *merge, "-o", merged)
    pruned = output.parent / "pruned.wasm"
    pruned.write_bytes(rewrite(merged.read_bytes(), rename=final.get, keep_names=False, fold=True))
    small = output.parent / "small.wasm"
    run(binaryen, "wasm-opt", pruned, "-o", small, "--simplify-globals", "--remove-unused-module-elements")
    output.write_bytes(stack.account(small.read_bytes()))


if __name__ == "__main__":
    main()

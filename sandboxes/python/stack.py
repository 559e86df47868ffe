"""Makes the guest meet the bound of its own stack first.

A WebAssembly program has two stacks.  C keeps what has an address on one in
linear memory, which CPython measures and bounds; the engine keeps the rest on a
native one, of which CPython knows nothing.  Many a function, such as the one
that frees a dictionary, needs room on the native stack alone: freeing a long
chain recursed, past CPython's every check, until the native stack was exhausted.

`account` makes each function that can be entered again before it has returned
take room on the stack in memory in proportion to what it may need of the native
one.  CPython's checks then bound both: its trashcan ends the recursion of
freeing in time, and what cannot be done without depth raises `RecursionError`.
What CPython does not check runs off the low end of the stack in memory, which is
the low end of memory, and traps alike on every processor.
"""

from wasm import (
    CODE,
    ELEMENT,
    FUNCTION,
    IMPORT,
    TYPE,
    read_leb,
    read_signed_leb,
    sections,
    write_leb,
    write_signed_leb,
)

# Bytes of native stack that a byte of the stack in memory stands for.  The stack
# in memory has 1 MiB, so the host must give 32 MiB; it gives twice as much
# (`WASM_STACK_BYTES` in gyre-sandbox).
NATIVE_RATIO = 32
ALIGN = 16
# The one global that is left after fusing.
STACK_POINTER = 0

BLOCK, LOOP, IF, END, RETURN, BR = 0x02, 0x03, 0x04, 0x0B, 0x0F, 0x0C
CALL, CALL_INDIRECT = 0x10, 0x11
GLOBAL_GET, GLOBAL_SET = 0x23, 0x24
I32_CONST, I32_ADD, I32_SUB = 0x41, 0x6A, 0x6B

ONE_LEB = {BLOCK, LOOP, IF, BR, 0x0D, CALL, 0xD2, *range(0x20, 0x27), 0x3F, 0x40, 0x41, 0x42, 0xD0}
TWO_LEBS = {CALL_INDIRECT, *range(0x28, 0x3F)}
BARE = {0x00, 0x01, 0x05, END, RETURN, 0x1A, 0x1B, 0xD1, *range(0x45, 0xC5)}
# Of the instructions after 0xFC: saturating conversions, then bulk memory.
PREFIXED = {**dict.fromkeys(range(8), 0), 8: 2, 9: 1, 10: 2, 11: 1, 12: 2, 13: 1, 14: 2, 15: 1, 16: 1, 17: 1}


def skip_leb(code, at):
    while code[at] & 0x80:
        at += 1
    return at + 1


def instructions(code, at):
    """Yields (opcode, start, end) of each instruction from `at` on."""
    while at < len(code):
        start, op = at, code[at]
        at += 1
        lebs = 0
        if op in ONE_LEB:
            lebs = 1
        elif op in TWO_LEBS:
            lebs = 2
        elif op == 0x0E:  # br_table: targets, and the default
            lebs, at = read_leb(code, at)
            lebs += 1
        elif op == 0x1C:  # select: types
            count, at = read_leb(code, at)
            at += count
        elif op == 0x43:  # f32.const
            at += 4
        elif op == 0x44:  # f64.const
            at += 8
        elif op == 0xFC:
            kind, at = read_leb(code, at)
            lebs = PREFIXED[kind]
        elif op not in BARE:
            raise ValueError(f"unknown instruction {op:#x}")
        for _ in range(lebs):
            at = skip_leb(code, at)
        yield op, start, at


class Function:
    """A function's body: what it calls, and what it takes of either stack."""

    def __init__(self, body, kind):
        self.body, self.kind = body, kind
        groups, at = read_leb(body, 0)
        self.locals = 0
        for _ in range(groups):
            count, at = read_leb(body, at)
            self.locals += count
            at += 1
        self.start = at
        self.calls, self.called_kinds = set(), set()
        # Bytes that it takes of the stack in memory by itself.
        self.frame = 0
        last = []
        for op, start, end in instructions(body, at):
            if op == CALL:
                self.calls.add(read_leb(body, start + 1)[0])
            elif op == CALL_INDIRECT:
                self.called_kinds.add(read_leb(body, start + 1)[0])
            elif op == I32_SUB and not self.frame and [o for o, _ in last] == [GLOBAL_GET, I32_CONST]:
                if read_leb(body, last[0][1] + 1)[0] == STACK_POINTER:
                    self.frame = read_signed_leb(body, last[1][1] + 1)[0]
            last = [*last[-1:], (op, start)]

    def native_bytes(self, parameters):
        """What it may take of the native stack: a slot for each value that it
        can hold across a call, and what every frame needs."""
        return 160 + 8 * (parameters + self.locals)


class Module:
    def __init__(self, data):
        self.parts = list(sections(data))
        parts = dict(self.parts)
        self.types = read_types(parts[TYPE])
        self.imported, _ = read_leb(parts[IMPORT], 0)
        kinds = read_indices(parts[FUNCTION], 0)[0]
        count, at = read_leb(parts[CODE], 0)
        self.functions = []
        for kind in kinds:
            size, at = read_leb(parts[CODE], at)
            self.functions.append(Function(parts[CODE][at : at + size], kind))
            at += size
        assert count == len(self.functions), "a function without a body"
        self.in_table = read_elements(parts[ELEMENT])

    def recursive(self):
        """Indices of the functions that can be entered again before they have
        returned; a call by the table may lead to any function of its type."""
        count = len(self.functions)
        by_type = {}
        for index in self.in_table:
            if index >= self.imported:
                own = index - self.imported
                by_type.setdefault(self.types[self.functions[own].kind], set()).add(own)
        # Each type that is called by the table is a node of its own.
        nodes = {of: count + at for at, of in enumerate(by_type)}
        edges = []
        for function in self.functions:
            direct = [call - self.imported for call in function.calls if call >= self.imported]
            called = {self.types[kind] for kind in function.called_kinds}
            edges.append(direct + [nodes[of] for of in called if of in nodes])
        edges += [list(targets) for targets in by_type.values()]
        return {node for node in in_cycles(edges) if node < count}


def read_types(part):
    count, at = read_leb(part, 0)
    out = []
    for _ in range(count):
        assert part[at] == 0x60, "a type that is no function"
        size, at = read_leb(part, at + 1)
        takes, at = part[at : at + size], at + size
        size, at = read_leb(part, at)
        gives, at = part[at : at + size], at + size
        out.append((takes, gives))
    return out


def read_indices(part, at):
    count, at = read_leb(part, at)
    out = []
    for _ in range(count):
        index, at = read_leb(part, at)
        out.append(index)
    return out, at


def read_elements(part):
    """The functions in the table."""
    count, at = read_leb(part, 0)
    out = set()
    for _ in range(count):
        assert part[at] == 0 and part[at + 1] == I32_CONST, "another kind of element segment"
        at = skip_leb(part, at + 2)
        assert part[at] == END, "another kind of element segment"
        indices, at = read_indices(part, at + 1)
        out.update(indices)
    return out


def in_cycles(edges):
    """The nodes that lie on a cycle: Tarjan's algorithm, without recursion."""
    order, low, stacked, stack, out = {}, {}, set(), [], set()

    def enter(node):
        order[node] = low[node] = len(order)
        stack.append(node)
        stacked.add(node)
        return node, iter(edges[node])

    for root in range(len(edges)):
        work = [] if root in order else [enter(root)]
        while work:
            node, rest = work[-1]
            for target in rest:
                if target not in order:
                    work.append(enter(target))
                    break
                if target in stacked:
                    low[node] = min(low[node], order[target])
            else:
                work.pop()
                if work:
                    above = work[-1][0]
                    low[above] = min(low[above], low[node])
                if low[node] == order[node]:
                    component = [stack.pop()]
                    while component[-1] != node:
                        component.append(stack.pop())
                    stacked.difference_update(component)
                    if len(component) > 1 or node in edges[node]:
                        out.update(component)
    return out


def taking(function, gives, extra):
    """The body of `function`, made to take `extra` bytes more of the stack in
    memory while it runs."""
    assert len(gives) <= 1, "a function of more than one result"

    def move(step):
        pointer = write_leb(STACK_POINTER)
        amount = bytes([I32_CONST]) + write_signed_leb(extra)
        return bytes([GLOBAL_GET]) + pointer + amount + bytes([step, GLOBAL_SET]) + pointer

    body, copied = function.body, function.start
    out = bytearray(body[:copied]) + move(I32_SUB) + bytes([BLOCK]) + (gives or b"\x40")
    depth = 0
    for op, start, end in instructions(body, copied):
        if op in (BLOCK, LOOP, IF):
            depth += 1
        elif op == END:
            depth -= 1
        elif op == RETURN:
            # To the end of the new block, which is where the body's own labels
            # of the function lead too.
            out += body[copied:start] + bytes([BR]) + write_leb(depth)
            copied = end
    assert depth == -1, "a body whose blocks do not match"
    out += body[copied:]  # whose last `end` is the new block's
    return bytes(out) + move(I32_ADD) + bytes([END])


def account(data):
    """The module, with every function that can recurse taking its share."""
    module = Module(data)
    recursive = module.recursive()
    code = bytearray(write_leb(len(module.functions)))
    for index, function in enumerate(module.functions):
        takes, gives = module.types[function.kind]
        share = -(-function.native_bytes(len(takes)) // (NATIVE_RATIO * ALIGN)) * ALIGN
        body = function.body
        if index in recursive and function.frame < share:
            body = taking(function, gives, share - function.frame // ALIGN * ALIGN)
        code += write_leb(len(body)) + body
    out = bytearray(data[:8])
    for kind, part in module.parts:
        part = code if kind == CODE else part
        out += bytes([kind]) + write_leb(len(part)) + part
    return bytes(out)

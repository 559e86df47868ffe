"""Reading and writing the binary format of a core WebAssembly module."""

TYPE, IMPORT, FUNCTION, GLOBAL, EXPORT, ELEMENT, CODE = 1, 2, 3, 6, 7, 9, 10


def read_leb(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, at


def write_leb(value):
    out = bytearray()
    while True:
        byte = value & 0x7F
        value >>= 7
        out.append(byte | (0x80 if value else 0))
        if not value:
            return bytes(out)


def read_name(data, at):
    size, at = read_leb(data, at)
    return data[at : at + size].decode(), at + size


def write_name(name):
    raw = name.encode()
    return write_leb(len(raw)) + raw


def sections(data):
    assert data[:8] == b"\0asm\x01\0\0\0", "not a core module"
    at = 8
    while at < len(data):
        kind = data[at]
        size, at = read_leb(data, at + 1)
        yield kind, data[at : at + size]
        at += size


def skip_limits(data, at):
    flags, at = read_leb(data, at)
    _, at = read_leb(data, at)
    if flags & 1:
        _, at = read_leb(data, at)
    return at


def skip_signed_leb(data, at):
    while data[at] & 0x80:
        at += 1
    return at + 1


def read_signed_leb(data, at):
    end = skip_signed_leb(data, at)
    value = 0
    for index in range(at, end):
        value |= (data[index] & 0x7F) << (7 * (index - at))
    bits = 7 * (end - at)
    return (value - (1 << bits) if value >> (bits - 1) else value), end


def write_signed_leb(value):
    out = bytearray()
    while True:
        byte = value & 0x7F
        value >>= 7
        if (value == 0 and not byte & 0x40) or (value == -1 and byte & 0x40):
            out.append(byte)
            return bytes(out)
        out.append(byte | 0x80)

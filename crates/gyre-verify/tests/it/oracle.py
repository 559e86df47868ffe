"""CPython's word on whether two values are equal: lines of pairs in Gyre's wire
form come in, and `1` or `0` goes out for each."""

import json
import sys

# Every NaN is this one object, so that containers find it equal to itself.
NAN = float("nan")


def read(wire):
    if type(wire) is list:
        return [read(item) for item in wire]
    if type(wire) is not dict:
        return wire
    tag = next(iter(wire), "")
    if not tag.startswith("$"):
        return {key: read(value) for key, value in wire.items()}
    body = wire[tag]
    return {
        "$tuple": lambda: tuple(map(read, body)),
        "$set": lambda: set(map(read, body)),
        "$frozenset": lambda: frozenset(map(read, body)),
        "$dict": lambda: {read(key): read(value) for key, value in body},
        "$bytes": lambda: bytes.fromhex(body),
        "$int": lambda: int(body),
        "$float": lambda: NAN if body == "nan" else float(body),
    }[tag]()


for line in sys.stdin:
    a, b = map(read, json.loads(line))
    print(int(a is b or a == b), flush=True)

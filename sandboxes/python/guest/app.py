"""The runner inside the guest: executes code, calls functions, answers in JSON.

The host does not trust a word of what this module says.  It is written so
that *honest* programs are reported honestly, even those that shadow builtins
or patch the standard library: everything that the runner needs after start
is a local of `_build`, out of the reach of an ordinary assignment.
"""

import preload  # noqa: F401  (the standard library, already imported for the programs)
import wit_world


def _build():
    import atexit
    import builtins
    import gc
    import gyre_stdin
    import json.decoder
    import linecache
    import os
    import random
    import sys
    from _json import encode_basestring as quote

    # What the runner calls later, bound now: `builtins.len = None` in a
    # program must not change what is reported about it.
    BaseException = builtins.BaseException
    SyntaxError = builtins.SyntaxError
    UnicodeEncodeError = builtins.UnicodeEncodeError
    NameError = builtins.NameError
    bool, bytes, dict, float, frozenset = bool_, bytes_, dict_, float_, frozenset_
    int, list, set, str, tuple, type = int_, list_, set_, str_, tuple_, type_
    compile, exec, len, super_type_name = compile_, exec_, len_, type_.__dict__["__name__"].__get__
    builtin_module = builtins
    scan = json.decoder.JSONDecoder().scan_once
    source_cache = linecache.cache
    modules = sys.modules
    module_type = type(sys)
    set_recursion_limit = sys.setrecursionlimit
    get_recursion_limit = sys.getrecursionlimit
    run_exit_functions = atexit._run_exitfuncs
    end_of_program = gyre_stdin.end_of_program
    standard_streams = (sys.stdout, sys.stderr)
    urandom = os.urandom
    reseed = random.seed
    encode_text = str.encode
    is_ascii = str.isascii
    int_text = int.__repr__
    int_bits = int.bit_length
    float_text = float.__repr__
    bytes_hex = bytes.hex
    from_hex = bytes.fromhex
    from_bytes = int.from_bytes
    starts_with = str.startswith
    split_lines = str.splitlines
    strip = str.strip
    join = "".join
    items_of = dict.items
    iterate_list, iterate_tuple = list.__iter__, tuple.__iter__
    iterate_set, iterate_frozenset = set.__iter__, frozenset.__iter__
    plain_int, plain_float, plain_str = int.__int__, float.__float__, str.__str__
    plain_bytes = bytes.__bytes__
    mro_of = type.__dict__["__mro__"].__get__
    own_folder = os.path.dirname(__file__) + "/"

    RUNNER_RECURSION = 1000
    DEPTH_MAX = 50  # levels of JSON, as the host counts them
    INT_BITS_MAX = 14_000  # about 4,200 digits, under CPython's own bound
    MESSAGE_CHARS_MAX = 4_000
    FRAMES_MAX = 16
    I64_MIN, I64_MAX = -(2**63), 2**63 - 1

    class Unrepresentable(Exception):
        pass

    namespace = {}
    # `limit` is what a program itself chose by `sys.setrecursionlimit`.
    state = {"turn": 0, "limit": None}
    sources = {}

    def begin():
        """Counts the call; the first one makes the session's own state."""
        if state["turn"] == 0:
            main = module_type("__main__")
            main.__builtins__ = builtin_module
            namespace["value"] = main.__dict__
            modules["__main__"] = main
            # The image was made with some state; this session has its own.
            reseed(from_bytes(urandom(32)))
        state["turn"] += 1

    def encode(value, size_max):
        parts = []
        append = parts.append
        size = 0

        def put(text):
            nonlocal size
            size += len(text)
            if size > size_max:
                raise Unrepresentable("the value is larger than %d bytes" % size_max)
            append(text)

        def put_text(text):
            if not is_ascii(text):
                try:
                    encode_text(text, "utf-8")
                except UnicodeEncodeError:
                    raise Unrepresentable("a string with a lone surrogate") from None
            put(quote(text))

        def enter(depth):
            if depth > DEPTH_MAX:
                raise Unrepresentable("the value is nested deeper than %d" % DEPTH_MAX)

        def put_items(items, depth):
            enter(depth)
            first = True
            for item in items:
                if not first:
                    put(",")
                first = False
                walk(item, depth)

        def walk_as_base(value, kind, depth):
            """Walks a value of a class of its own as what its built-in type holds:
            it is read by that type's own methods, whatever its class overrides."""
            for base in mro_of(kind):
                if base is list or base is tuple or base is dict or base is set or base is frozenset:
                    walk(value, depth, base)
                elif base is int:
                    walk(plain_int(value), depth)
                elif base is str:
                    walk(plain_str(value), depth)
                elif base is float:
                    walk(plain_float(value), depth)
                elif base is bytes:
                    walk(plain_bytes(value), depth)
                else:
                    continue
                return
            raise Unrepresentable("a value of type " + super_type_name(kind))

        def walk(value, depth, kind=None):
            if kind is None:
                kind = type(value)
            if value is None:
                put("null")
            elif kind is bool:
                put("true" if value else "false")
            elif kind is int:
                if I64_MIN <= value <= I64_MAX:
                    put(int_text(value))
                elif int_bits(value) > INT_BITS_MAX:
                    raise Unrepresentable("an int of %d bits" % int_bits(value))
                else:
                    put('{"$int":"' + int_text(value) + '"}')
            elif kind is float:
                text = float_text(value)
                if text == "nan" or text == "inf" or text == "-inf":
                    text = '{"$float":"' + text + '"}'
                put(text)
            elif kind is str:
                put_text(value)
            elif kind is list:
                put("[")
                put_items(iterate_list(value), depth + 1)
                put("]")
            elif kind is dict:
                walk_dict(value, depth)
            elif kind is tuple:
                put('{"$tuple":[')
                put_items(iterate_tuple(value), depth + 2)
                put("]}")
            elif kind is set or kind is frozenset:
                put('{"$set":[' if kind is set else '{"$frozenset":[')
                iterate = iterate_set if kind is set else iterate_frozenset
                put_items(iterate(value), depth + 2)
                put("]}")
            elif kind is bytes:
                put('{"$bytes":"' + bytes_hex(value) + '"}')
            else:
                walk_as_base(value, kind, depth)

        def walk_dict(value, depth):
            plain = True
            for key, _ in items_of(value):
                if type(key) is not str or starts_with(key, "$"):
                    plain = False
                    break
            enter(depth + (1 if plain else 3))
            first = True
            put("{" if plain else '{"$dict":[')
            for key, item in items_of(value):
                if not first:
                    put(",")
                first = False
                if plain:
                    put_text(key)
                    put(":")
                    walk(item, depth + 1)
                else:
                    put("[")
                    walk(key, depth + 3)
                    put(",")
                    walk(item, depth + 3)
                    put("]")
            put("}" if plain else "]}")

        walk(value, 0)
        return join(parts)

    def decode(value):
        kind = type(value)
        if kind is list:
            return [decode(item) for item in value]
        if kind is not dict:
            return value
        if len(value) == 1:
            for tag, body in items_of(value):
                pass
            if starts_with(tag, "$"):
                return decode_tagged(tag, body)
        return {key: decode(item) for key, item in items_of(value)}

    def decode_tagged(tag, body):
        if tag == "$int":
            return int(body)
        if tag == "$float":
            return float(body)
        if tag == "$tuple":
            return tuple([decode(item) for item in body])
        if tag == "$set":
            return set([decode(item) for item in body])
        if tag == "$frozenset":
            return frozenset([decode(item) for item in body])
        if tag == "$bytes":
            return from_hex(body)
        if tag == "$dict":
            return {decode(key): decode(item) for key, item in body}
        raise Unrepresentable("an argument with the unknown tag " + tag)

    def clean(text):
        """Text that is whole UTF-8 and not long."""
        if len(text) > MESSAGE_CHARS_MAX:
            text = text[:MESSAGE_CHARS_MAX] + "…"
        return bytes.decode(encode_text(text, "utf-8", "backslashreplace"), "utf-8")

    def message_of(error):
        try:
            text = str(error)
            return clean(text) if type(text) is str else "<unprintable>"
        except BaseException:
            return "<unprintable>"

    def source_line(filename, line):
        lines = sources.get(filename)
        if lines is None or not 0 < line <= len(lines):
            return ""
        return "    " + strip(lines[line - 1]) + "\n"

    def traceback_of(error, name, message):
        frames = []
        step = error.__traceback__
        while step is not None:
            code = step.tb_frame.f_code
            if not starts_with(code.co_filename, own_folder):
                frames.append((code.co_filename, step.tb_lineno or 0, code.co_qualname))
            step = step.tb_next
        parts = ["Traceback (most recent call last):\n"] if frames else []
        cut = FRAMES_MAX // 2 if len(frames) > FRAMES_MAX else None
        for index, (filename, line, where) in enumerate_(frames):
            if cut is not None and cut <= index < len(frames) - cut:
                if index == cut:
                    parts.append("  … %d more frames …\n" % (len(frames) - 2 * cut))
                continue
            parts.append('  File "%s", line %d, in %s\n' % (filename, line, where))
            parts.append(source_line(filename, line))
        if type(error) is SyntaxError or type(error).__base__ is SyntaxError:
            parts.append('  File "%s", line %d\n' % (error.filename, error.lineno or 0))
            if type(error.text) is str:
                text = error.text.rstrip("\n")
                lead = text.lstrip()
                parts.append("    " + lead + "\n")
                column = (error.offset or 1) - 1 - (len(text) - len(lead))
                parts.append("    " + " " * max_(column, 0) + "^\n")
            message = clean(str(error.msg))
        parts.append(name + ": " + message if message else name)
        return clean(join(parts))

    def failure(error):
        name = clean(super_type_name(type(error)))
        message = message_of(error)
        try:
            trace = traceback_of(error, name, message)
        except BaseException:
            trace = name + ": " + message
        return (
            '{"exception":{"type":' + quote(name) + ',"message":' + quote(message)
            + ',"traceback":' + quote(trace) + "}}"
        )

    def flush():
        current = (sys.stdout, sys.stderr)
        for stream in current + standard_streams:
            try:
                stream.flush()
            except BaseException:
                pass

    def answer(action, size_max, recursion_max):
        try:
            begin()
            limit = state["limit"] or recursion_max
            set_recursion_limit(limit)
            try:
                value = action()
            finally:
                chosen = get_recursion_limit()
                set_recursion_limit(RUNNER_RECURSION)
                if chosen != limit:
                    state["limit"] = chosen
            try:
                reply = '{"ok":' + encode(value, size_max) + "}"
            except Unrepresentable as reason:
                reply = '{"unrepresentable":' + quote(clean(str(reason))) + "}"
        except Unrepresentable as reason:
            reply = '{"unrepresentable":' + quote(clean(str(reason))) + "}"
        except BaseException as error:
            try:
                reply = failure(error)
            except BaseException:
                reply = '{"exception":{"type":"MemoryError","message":"","traceback":"MemoryError"}}'
            error = None
        flush()
        return reply

    def run(code, size_max, recursion_max):
        def action():
            nonlocal code
            if starts_with(code, "\ufeff"):
                code = code[1:]
            filename = "<turn %d>" % state["turn"]
            lines = split_lines(code, True)
            sources[filename] = lines
            source_cache[filename] = (len(code), None, lines, filename)
            try:
                exec(compile(code, filename, "exec", 0, True), namespace["value"])
            finally:
                if end_of_program():
                    run_exit_functions()

        return answer(action, size_max, recursion_max)

    def call(function, arguments, size_max, recursion_max):
        def action():
            target = namespace["value"].get(function, state)
            if target is state:
                raise NameError("name '%s' is not defined" % function)
            values, _end = scan(arguments, 0)
            return target(*[decode(value) for value in values])

        return answer(action, size_max, recursion_max)

    def settle():
        """Warms the paths above, then forgets: what the image holds at the end
        of the build is what every session starts from."""
        for _ in range(3):
            state["turn"] = 1
            namespace["value"] = {"__builtins__": builtin_module, "__name__": "__main__"}
            run("import math\ndef f(x):\n    return [x, {'a': (1, 2.5)}, str(x), sum(range(x))]\n", 9999, 400)
            call("f", '[3]', 9999, 400)
            call("f", '["x"]', 9999, 400)
            run("class A:\n    def __init__(self): self.x = f'{1.5:.2f}'\nA().x\n1 / 0", 9999, 400)
            run("def", 9999, 400)
        state["turn"], state["limit"] = 0, None
        # Nothing of the library's own is worth doing at the end of a program.
        atexit._clear()
        # Where the library came from is not there any more.
        sys.path[:] = []
        sys.path_importer_cache.clear()
        # A program that is stopped has shown each line that it had printed.
        for stream in standard_streams:
            stream.reconfigure(line_buffering=True)
        namespace.clear()
        sources.clear()
        source_cache.clear()
        gc.collect()
        gc.freeze()

    settle()
    return run, call


# Aliases under other names: inside `_build` an assignment to `len` makes it a
# local, so the right-hand side must not be the same name.
bool_, bytes_, dict_, float_, frozenset_ = bool, bytes, dict, float, frozenset
int_, list_, set_, str_, tuple_, type_ = int, list, set, str, tuple, type
compile_, exec_, len_, enumerate_, max_ = compile, exec, len, enumerate, max

_run, _call = _build()


class WitWorld(wit_world.WitWorld):
    """The exports of the world `gyre:python/guest`."""

    def run(self, code, result_bytes_max, recursion_max, _run=_run):
        return _run(code, result_bytes_max, recursion_max)

    def call(self, function, arguments, result_bytes_max, recursion_max, _call=_call):
        return _call(function, arguments, result_bytes_max, recursion_max)

"""Rewrites a program: in ways that keep its meaning, and by single edits that
should not.  Runs in a guest; what it is given is a family's own reference.

The guest has no `ast.unparse`: everything is done to the text, at the places
that the tree names.
"""

import ast
import builtins


class Source:
    """A program's text and tree."""

    def __init__(self, program):
        self.text = program.encode()
        self.tree = ast.parse(program)
        self.starts = [0]
        for line in self.text.split(b"\n"):
            self.starts.append(self.starts[-1] + len(line) + 1)

    def span(self, node):
        start = self.starts[node.lineno - 1] + node.col_offset
        return start, self.starts[node.end_lineno - 1] + node.end_col_offset

    def part(self, node):
        start, end = self.span(node)
        return self.text[start:end].decode()

    def inner(self, node):
        """An expression, wherever it may be put."""
        return "(" + self.part(node) + ")"

    def edited(self, changes):
        """The text with some spans replaced; of those that overlap, the first."""
        found, at = [], 0
        for (start, end), text in sorted(changes, key=lambda change: change[0]):
            if start >= at:
                found += [self.text[at:start], text.encode()]
                at = end
        return b"".join([*found, self.text[at:]]).decode()


def __gyre_rewrites__(program, entry, is_function):
    """Programs that mean the same, as (name, source)."""
    source = Source(program)
    found = [
        ("reformatted", reformatted(source)),
        ("variables renamed", source.edited(renamed(source, entry))),
        ("branches turned round", source.edited(turned(source))),
    ]
    dead = "def _unused_(x):\n    while x:\n        x = [x]\n    return x\n\n\nif False:\n    _unused_(1)\n"
    found.append(("dead code added", with_dead_code(program, dead, source.tree)))
    if is_function:
        inner = "\n_inner_ = %s\n\n\ndef %s(*args):\n    return _inner_(*args)\n" % (entry, entry)
        found.append(("wrapped", program.rstrip("\n") + "\n\n" + inner))
    return [[name, text] for name, text in found if text != program]


def reformatted(source):
    returns = [node.value for node in ast.walk(source.tree) if isinstance(node, ast.Return) and node.value]
    changes = [(source.span(value), "(\n  " + source.part(value) + "\n)") for value in returns]
    return "# Written otherwise.\n\n" + source.edited(changes).rstrip("\n") + "\n\n# The end.\n"


def with_dead_code(program, dead, tree):
    """Below what must come first: the docstring and `from __future__`."""
    first = 0
    for node in tree.body:
        is_text = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        if is_text or isinstance(node, ast.ImportFrom) and node.module == "__future__":
            first = node.end_lineno
        else:
            break
    lines = program.splitlines(True)
    return "".join(lines[:first]) + dead + "\n\n" + "".join(lines[first:])


def renamed(source, entry):
    """Renames every variable of a program that is a variable and nothing else."""
    names, kept = set(), {entry, *dir(builtins)}
    nodes = list(ast.walk(source.tree))
    for node in nodes:
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        elif isinstance(node, ast.Name) and node.id in ("locals", "globals", "vars", "eval", "exec"):
            return []
        elif isinstance(node, ast.arg):
            names.add(node.arg)
        elif isinstance(node, (ast.Global, ast.Nonlocal)):
            kept.update(node.names)
        elif isinstance(node, ast.alias):
            kept.update((node.asname, node.name))
        elif isinstance(node, (ast.MatchAs, ast.MatchStar, ast.ExceptHandler)):
            kept.add(node.name)
        elif isinstance(node, ast.MatchMapping):
            kept.add(node.rest)
        elif isinstance(node, ast.keyword):
            kept.add(node.arg)
        elif isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            kept.add(node.name)
            if isinstance(node, ast.ClassDef):
                kept.update(inside.id for part in node.body for inside in ast.walk(part) if isinstance(inside, ast.Name))
    changes = []
    for node in nodes:
        if isinstance(node, ast.Name) and node.id in names - kept:
            changes.append((source.span(node), "v_%s_" % node.id))
        elif isinstance(node, ast.arg) and node.arg in names - kept:
            start, _ = source.span(node)
            changes.append(((start, start + len(node.arg.encode())), "v_%s_" % node.arg))
    return changes


def turned(source):
    """if c: A else: B, the other way round."""
    changes = []
    for node in ast.walk(source.tree):
        if isinstance(node, ast.IfExp):
            parts = tuple(source.inner(part) for part in (node.orelse, node.test, node.body))
            changes.append((source.span(node), "(%s if not %s else %s)" % parts))
        elif isinstance(node, ast.If) and node.orelse:
            first, other = (node.body[0], node.body[-1]), (node.orelse[0], node.orelse[-1])
            is_plain = first[0].lineno > node.test.end_lineno and other[0].col_offset == first[0].col_offset
            if is_plain and not any(hasattr(part, "decorator_list") for part in (first[0], other[0])):
                spans = [(source.span(ends[0])[0], source.span(ends[1])[1]) for ends in (first, other)]
                (a, b), (c, d) = spans
                test_end = source.span(node.test)
                middle = source.text[b:c].decode()
                head = "(not %s)" % source.inner(node.test) + source.text[test_end[1] : a].decode()
                body, orelse = source.text[a:b].decode(), source.text[c:d].decode()
                changes.append(((test_end[0], d), head + orelse + middle + body))
    return changes


COMPARED = {
    ast.Lt: (ast.LtE, "<="), ast.LtE: (ast.Lt, "<"), ast.Gt: (ast.GtE, ">="), ast.GtE: (ast.Gt, ">"),
    ast.Eq: (ast.NotEq, "!="), ast.NotEq: (ast.Eq, "=="), ast.In: (ast.NotIn, "not in"),
    ast.NotIn: (ast.In, "in"), ast.Is: (ast.IsNot, "is not"), ast.IsNot: (ast.Is, "is"),
}
COMPUTED = {
    ast.Add: (ast.Sub, "-"), ast.Sub: (ast.Add, "+"), ast.Mult: (ast.Add, "+"), ast.Div: (ast.Mult, "*"),
    ast.FloorDiv: (ast.Mult, "*"), ast.Mod: (ast.FloorDiv, "//"), ast.Pow: (ast.Mult, "*"),
    ast.BitAnd: (ast.BitOr, "|"), ast.BitOr: (ast.BitAnd, "&"), ast.BitXor: (ast.BitAnd, "&"),
    ast.LShift: (ast.RShift, ">>"), ast.RShift: (ast.LShift, "<<"),
}
CALLED = {
    "min": "max", "max": "min", "any": "all", "all": "any", "lower": "upper", "upper": "lower",
    "lstrip": "rstrip", "rstrip": "lstrip", "startswith": "endswith", "endswith": "startswith",
    "append": "remove", "find": "rfind", "rfind": "find", "split": "splitlines",
}


def edits(source, node, parent):
    """Single edits of a node, as (what, span, text)."""
    inner = source.inner

    if isinstance(node, ast.Compare):
        for at, operator in enumerate(node.ops):
            if type(operator) in COMPARED:
                sign = COMPARED[type(operator)][1]
                signs = [SIGNS[type(other)] for other in node.ops]
                signs[at] = sign
                pairs = zip(signs, node.comparators)
                text = inner(node.left) + "".join(" %s %s" % (s, inner(right)) for s, right in pairs)
                yield "compares by " + sign, source.span(node), "(" + text + ")"
    if isinstance(node, ast.BinOp) and type(node.op) in COMPUTED:
        sign = COMPUTED[type(node.op)][1]
        text = "(%s %s %s)" % (inner(node.left), sign, inner(node.right))
        yield "computes by " + sign, source.span(node), text
    if isinstance(node, ast.AugAssign) and type(node.op) in COMPUTED:
        sign = COMPUTED[type(node.op)][1]
        text = "%s %s= %s" % (source.part(node.target), sign, inner(node.value))
        yield "computes by " + sign, source.span(node), text
    if isinstance(node, ast.BoolOp):
        to, what = (" or ", "or for and") if isinstance(node.op, ast.And) else (" and ", "and for or")
        yield what, source.span(node), "(" + to.join(map(inner, node.values)) + ")"
    if isinstance(node, (ast.If, ast.While, ast.IfExp)):
        yield "condition negated", source.span(node.test), "(not %s)" % inner(node.test)
    if isinstance(node, ast.Constant) and not isinstance(parent, (ast.JoinedStr, ast.Expr)):
        value = node.value
        if isinstance(value, bool):
            yield "%s for %s" % (not value, value), source.span(node), repr(not value)
        elif isinstance(value, (int, float)):
            for other in (value + 1, value - 1):
                yield "%r for %r" % (other, value), source.span(node), "(%r)" % other
        elif isinstance(value, str):
            yield "another text", source.span(node), "(%r)" % (value + "x")
    if isinstance(node, ast.Return) and node.value is not None:
        if not (isinstance(node.value, ast.Constant) and node.value.value is None):
            yield "returns None", source.span(node.value), "None"
    if isinstance(node, ast.Call):
        target = node.func
        if isinstance(target, ast.Name) and target.id in CALLED:
            name = CALLED[target.id]
            yield "calls " + name, source.span(target), name
        elif isinstance(target, ast.Attribute) and target.attr in CALLED:
            name = CALLED[target.attr]
            yield "calls " + name, source.span(target), inner(target.value) + "." + name
    if isinstance(node, ast.Break):
        yield "continue for break", source.span(node), "continue"
    if isinstance(node, ast.Continue):
        yield "break for continue", source.span(node), "break"
    if isinstance(node, (ast.Assign, ast.AugAssign)) or isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        yield "statement left out", source.span(node), "pass"


SIGNS = {
    ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.Eq: "==", ast.NotEq: "!=",
    ast.In: "in", ast.NotIn: "not in", ast.Is: "is", ast.IsNot: "is not",
}


def parents(tree):
    """Every node with its parent, in an order that does not change."""
    for parent in ast.walk(tree):
        for node in ast.iter_child_nodes(parent):
            yield node, parent


def __gyre_mutants__(program, count, offset):
    """At most `count` one-edit mutants, spread over all there are, as (name, source)."""
    source = Source(program)
    choices = [
        ("line %d: %s" % (node.lineno, what), span, text)
        for node, parent in parents(source.tree)
        for what, span, text in edits(source, node, parent)
    ]
    found, texts = [], {program}
    step = max(1, len(choices) // max(count, 1))
    order = sorted(range(len(choices)), key=lambda at: ((at + offset) % step, at))
    for what, span, text in (choices[at] for at in order):
        if len(found) == count:
            break
        mutant = source.edited([(span, text)])
        try:
            compile(mutant, "<mutant>", "exec")
        except SyntaxError:
            continue
        if mutant not in texts:
            texts.add(mutant)
            found.append([what, mutant])
    return found


def __gyre_vary__(calls, count):
    """More arguments of the same shapes, made of nothing but pieces of those given."""
    known = {repr(call) for call in calls}
    found = []

    def take(call):
        if len(found) < count and repr(call) not in known:
            known.add(repr(call))
            found.append(call)

    for at in range(max((len(call) for call in calls), default=0)):
        for call in calls:
            if at < len(call):
                for value in variants(call[at]):
                    take(call[:at] + [value] + call[at + 1 :])
    for left in calls:
        for right in calls:
            if len(left) == len(right) > 1:
                for at in range(len(left)):
                    if shape(left[at]) == shape(right[at]):
                        take(left[:at] + [right[at]] + left[at + 1 :])
    return found


def variants(value):
    if isinstance(value, list) and len(value) > 1:
        yield value[:-1]
        yield value[1:]
        yield value[::-1]
        yield value + value[:1]
        yield sorted(value, key=repr)
    elif isinstance(value, str) and len(value) > 1:
        words = value.split(" ")
        if len(words) > 1:
            yield " ".join(words[1:])
            yield " ".join(words[::-1])
            yield " ".join(words + words[:1])
        elif value.isalpha():
            yield value[1:]
            yield value[::-1]
            yield value + value[0]
    elif isinstance(value, dict) and len(value) > 1:
        for key in list(value)[:2]:
            yield {k: v for k, v in value.items() if k != key}


def shape(value):
    if isinstance(value, (list, tuple)):
        return type(value).__name__, shape(value[0]) if value else None
    return type(value).__name__

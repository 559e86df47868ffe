"""Rewrites a program: in ways that keep its meaning, and by single edits that
should not.  Runs in a guest; what it is given is a family's own reference.
"""

import ast
import builtins
import copy


def __gyre_rewrites__(program, entry, is_function):
    """Programs that mean the same, as (name, source)."""
    tree = ast.parse(program)
    found = [("reformatted", ast.unparse(tree))]
    renamed = Rename(tree, entry).visit(copy.deepcopy(tree))
    found.append(("variables renamed", ast.unparse(renamed)))
    turned = Turn().visit(copy.deepcopy(tree))
    found.append(("branches turned round", ast.unparse(ast.fix_missing_locations(turned))))
    dead = "def _unused_(x):\n    while x:\n        x = [x]\n    return x\n\n\nif False:\n    _unused_(1)\n"
    found.append(("dead code added", with_dead_code(program, dead, tree)))
    if is_function:
        inner = "\n_inner_ = %s\n\n\ndef %s(*args):\n    return _inner_(*args)\n" % (entry, entry)
        found.append(("wrapped", program.rstrip("\n") + "\n\n" + inner))
    return [[name, source] for name, source in found]


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


class Rename(ast.NodeTransformer):
    """Renames every variable of a program that is a variable and nothing else."""

    def __init__(self, tree, entry):
        names, kept = set(), {entry, *dir(builtins)}
        for node in ast.walk(tree):
            if isinstance(node, ast.arg):
                names.add(node.arg)
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                names.add(node.id)
            elif isinstance(node, ast.keyword) and node.arg:
                kept.add(node.arg)
            elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
                kept.add(node.name)
                if isinstance(node, ast.ClassDef):
                    kept.update(n.id for n in ast.walk(node) if isinstance(n, ast.Name))
            elif isinstance(node, ast.alias):
                kept.add((node.asname or node.name).split(".")[0])
            elif isinstance(node, (ast.MatchAs, ast.MatchStar)) and node.name:
                kept.add(node.name)
            elif isinstance(node, ast.MatchMapping) and node.rest:
                kept.add(node.rest)
            elif isinstance(node, ast.ExceptHandler) and node.name:
                kept.add(node.name)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                kept.update(node.value.replace("'", " ").replace('"', " ").split())
        self.names = {name: "v_%s_" % name for name in names - kept if not name.startswith("__")}

    def visit_Name(self, node):
        node.id = self.names.get(node.id, node.id)
        return node

    def visit_arg(self, node):
        self.generic_visit(node)
        node.arg = self.names.get(node.arg, node.arg)
        return node

    def visit_Global(self, node):
        node.names = [self.names.get(name, name) for name in node.names]
        return node

    visit_Nonlocal = visit_Global


class Turn(ast.NodeTransformer):
    """if c: A else: B, the other way round."""

    def visit_If(self, node):
        self.generic_visit(node)
        if node.orelse:
            test = ast.UnaryOp(ast.Not(), node.test)
            return ast.If(test, node.orelse, node.body)
        return node

    def visit_IfExp(self, node):
        self.generic_visit(node)
        return ast.IfExp(ast.UnaryOp(ast.Not(), node.test), node.orelse, node.body)


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


def edits(node, parent):
    """Single edits of a node, as (what, a function that makes the edit)."""

    def put(field, value):
        return lambda node: setattr(node, field, value)

    if isinstance(node, ast.Compare):
        for at, operator in enumerate(node.ops):
            if type(operator) in COMPARED:
                kind, sign = COMPARED[type(operator)]
                yield "compares by " + sign, lambda node, at=at, kind=kind: node.ops.__setitem__(at, kind())
    if isinstance(node, (ast.BinOp, ast.AugAssign)) and type(node.op) in COMPUTED:
        kind, sign = COMPUTED[type(node.op)]
        yield "computes by " + sign, put("op", kind())
    if isinstance(node, ast.BoolOp):
        is_and = isinstance(node.op, ast.And)
        yield ("or for and" if is_and else "and for or"), put("op", ast.Or() if is_and else ast.And())
    if isinstance(node, (ast.If, ast.While, ast.IfExp)):
        yield "condition negated", put("test", ast.UnaryOp(ast.Not(), node.test))
    if isinstance(node, ast.Constant):
        value = node.value
        if isinstance(value, bool):
            yield "%s for %s" % (not value, value), put("value", not value)
        elif isinstance(value, (int, float)):
            yield "%r for %r" % (value + 1, value), put("value", value + 1)
            yield "%r for %r" % (value - 1, value), put("value", value - 1)
        elif isinstance(value, str) and not isinstance(parent, ast.Expr):
            yield "another text", put("value", value + "x" if value else "x")
    if isinstance(node, ast.Return) and node.value is not None:
        if not (isinstance(node.value, ast.Constant) and node.value.value is None):
            yield "returns None", put("value", ast.Constant(None))
    if isinstance(node, ast.Call):
        target = node.func
        if isinstance(target, ast.Name) and target.id in CALLED:
            name = CALLED[target.id]
            yield "calls " + name, put("func", ast.Name(name, ast.Load()))
        elif isinstance(target, ast.Attribute) and target.attr in CALLED:
            name = CALLED[target.attr]
            yield "calls " + name, put("func", ast.Attribute(target.value, name, ast.Load()))
    if isinstance(node, ast.Break):
        yield "continue for break", "continue"
    if isinstance(node, ast.Continue):
        yield "break for continue", "break"
    if isinstance(node, (ast.Assign, ast.AugAssign)) or isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        yield "statement left out", "pass"


STATEMENTS = {"continue": ast.Continue, "break": ast.Break, "pass": ast.Pass}


def parents(tree):
    """Every node with its parent, in an order that does not change."""
    for parent in ast.walk(tree):
        for node in ast.iter_child_nodes(parent):
            yield node, parent


def mutant(tree, place, number):
    """A copy of the tree with one edit."""
    tree = copy.deepcopy(tree)
    node, parent = list(parents(tree))[place]
    _, change = list(edits(node, parent))[number]
    if isinstance(change, str):
        for _, items in ast.iter_fields(parent):
            if isinstance(items, list) and any(item is node for item in items):
                at = next(i for i, item in enumerate(items) if item is node)
                items[at] = STATEMENTS[change]()
    else:
        change(node)
    return ast.unparse(ast.fix_missing_locations(tree))


def __gyre_mutants__(program, count, offset):
    """At most `count` one-edit mutants, spread over all there are, as (name, source)."""
    tree = ast.parse(program)
    original = ast.unparse(tree)
    choices = [
        (place, number, "line %d: %s" % (getattr(node, "lineno", 0), what))
        for place, (node, parent) in enumerate(parents(tree))
        for number, (what, _) in enumerate(edits(node, parent))
    ]
    found, sources = [], {original}
    step = max(1, len(choices) // max(count, 1))
    order = sorted(range(len(choices)), key=lambda at: ((at + offset) % step, at))
    for place, number, what in (choices[at] for at in order):
        if len(found) == count:
            break
        source = mutant(tree, place, number)
        try:
            compile(source, "<mutant>", "exec")
        except SyntaxError:
            continue
        if source not in sources:
            sources.add(source)
            found.append([what, source])
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

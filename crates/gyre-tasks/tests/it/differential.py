"""Variants of each problem's solution, with what the problem's own test says of
them: reads a file of problems, and writes a line for each problem.

A variant is the solution with one small edit, so most are wrong and some are
right in another way. Each runs natively, in a child process with limits."""

import ast
import json
import os
import random
import resource
import signal
import sys
import traceback

SECONDS = 3
BYTES = 1 << 30

WRAPPERS = [
    "return float({})", "return int({})", "return bool({})", "return str({})",
    "return list({})", "return tuple({})", "return set({})", "return frozenset({})",
    "return sorted({})", "return [{}]", "return ({}) * 1.0", "return ({}) or None",
    "return dict({})", "return round({}, 3)", "return ({}) + 1e-9",
]


class Edit(ast.NodeTransformer):
    """Makes the edit with this number; counts them all."""

    def __init__(self, wanted=None):
        self.wanted, self.count = wanted, 0

    def one_of(self, node, others):
        for other in others:
            self.count += 1
            if self.count - 1 == self.wanted:
                node = other()
        return node

    def visit_Constant(self, node):
        value = node.value
        others = []
        if type(value) is bool:
            others = [not value, int(value)]
        elif type(value) is int:
            others = [value + 1, value - 1, float(value)]
        elif type(value) is float:
            others = [value * 1.01, -value]
        elif type(value) is str and len(value) < 20:
            others = [value + "x", value[:-1], value.upper()]
        return self.one_of(node, [lambda v=v: ast.Constant(v) for v in others if v != value or type(v) is not type(value)])

    def visit_Compare(self, node):
        self.generic_visit(node)
        others = [ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.Eq, ast.NotEq]
        kinds = [kind for kind in others if type(node.ops[0]) in others and type(node.ops[0]) is not kind]
        return self.one_of(node, [lambda k=k: ast.Compare(node.left, [k()] + node.ops[1:], node.comparators) for k in kinds])

    def visit_BinOp(self, node):
        self.generic_visit(node)
        others = [ast.Add, ast.Sub, ast.Mult, ast.FloorDiv, ast.Div, ast.Mod]
        kinds = [kind for kind in others if type(node.op) in others and type(node.op) is not kind]
        return self.one_of(node, [lambda k=k: ast.BinOp(node.left, k(), node.right) for k in kinds])

    def visit_BoolOp(self, node):
        self.generic_visit(node)
        other = ast.Or if type(node.op) is ast.And else ast.And
        return self.one_of(node, [lambda: ast.BoolOp(other(), node.values)])

    def visit_If(self, node):
        self.generic_visit(node)
        turned = lambda: ast.If(ast.UnaryOp(ast.Not(), node.test), node.body, node.orelse)
        return self.one_of(node, [turned])

    def visit_Return(self, node):
        self.generic_visit(node)
        if node.value is None:
            return node
        value = ast.unparse(node.value)
        return self.one_of(node, [lambda w=w: ast.parse(w.format(value)).body[0] for w in WRAPPERS])

    def visit_Expr(self, node):
        # Texts that stand alone are documentation.
        return node if type(node.value) is ast.Constant else self.generic_visit(node)


def variants(program, most, name):
    everything = Edit()
    everything.visit(ast.parse(program))
    numbers = list(range(everything.count))
    random.Random(name).shuffle(numbers)
    found = {}
    for number in numbers[: most * 2]:
        tree = ast.fix_missing_locations(Edit(number).visit(ast.parse(program)))
        text = ast.unparse(tree) + "\n"
        try:
            compile(text, "variant", "exec")
        except SyntaxError:
            continue
        found.setdefault(text)
        if len(found) == most:
            break
    return list(found)


def passes(program, test, entry):
    """Whether the test passes, in a child whose time and memory are bounded."""
    child = os.fork()
    if child == 0:
        silence = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1, 2):
            os.dup2(silence, descriptor)
        resource.setrlimit(resource.RLIMIT_AS, (BYTES, BYTES))
        resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
        signal.alarm(2 * SECONDS)
        try:
            space = {"__name__": "__main__"}
            exec(program, space)
            exec(test, space)
            space["check"](space[entry])
        except BaseException:
            os._exit(1)
        os._exit(0)
    return os.waitpid(child, 0)[1] == 0


def main(path, most):
    for line in open(path, encoding="utf-8"):
        if not line.strip():
            continue
        problem = json.loads(line)
        program = problem["prompt"] + problem["canonical_solution"]
        try:
            texts = [program] + variants(program, most, problem["task_id"])
        except SyntaxError:
            traceback.print_exc()
            texts = [program]
        judged = [[text, passes(text, problem["test"], problem["entry_point"])] for text in texts]
        print(json.dumps({"name": problem["task_id"], "variants": judged}), flush=True)


main(sys.argv[1], int(sys.argv[2]))

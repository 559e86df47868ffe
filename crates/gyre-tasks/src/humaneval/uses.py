"""Says how a test uses what its candidate returns.

Recorded results decide a task only where the test asks for equality with a
value that the candidate has no part in, or for nearness to one. Whatever else
it asks is found here and named."""


def __gyre_uses__(solution, test, entry):
    """`{"refused": why}`, or the widest bounds that the test compares within,
    whether it asks of a result only that it is true or false, and whether it
    asks that a result is `True` or `False` itself."""
    import ast

    class Refused(Exception):
        pass

    def refuse(what, node=None):
        source = node and ast.get_source_segment(test, node)
        shown = ": " + " ".join(source.split()) if source else ""
        raise Refused(what + (shown if len(shown) <= 120 else shown[:117] + "..."))

    def names(nodes, context):
        return {n.id for n in nodes if type(n) is ast.Name and type(n.ctx) is context}

    tree = ast.parse(test)
    everything = list(ast.walk(tree))
    definitions = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    bounds = {"absolute": 0.0, "relative": 0.0, "truth": False, "identity": False}

    def name_of(function):
        """`isclose` of `math.isclose`."""
        return getattr(function, "id", None) or getattr(function, "attr", None)

    def is_call(node):
        return type(node) is ast.Call and name_of(node.func) == "candidate"

    # Names that hold a result somewhere in the test, wherever that is.
    results = set()

    def touches(node):
        """Whether a result flows into an expression."""
        return any(
            type(n) is ast.Name and (n.id == "candidate" or n.id in results)
            for n in ast.walk(node)
        )

    def is_result(node):
        """A result as it was returned, or several in a list or a tuple."""
        if is_call(node):
            given = node.args + [keyword.value for keyword in node.keywords]
            for argument in given:
                if touches(argument):
                    refuse("it calls the candidate with a result", node)
            return True
        if type(node) is ast.Name:
            return node.id in results
        if type(node) in (ast.List, ast.Tuple):
            return any(map(touches, node.elts)) and all(
                is_result(item) or not touches(item) for item in node.elts
            )
        if type(node) is ast.ListComp:
            return is_result(node.elt) and not any(map(touches_source, node.generators))
        if type(node) is ast.Call and name_of(node.func) in ("list", "tuple"):
            return len(node.args) == 1 and not node.keywords and is_result(node.args[0])
        return False

    def touches_source(generator):
        return any(map(touches, [generator.iter] + generator.ifs))

    def number(node):
        try:
            value = float(ast.literal_eval(node))
        except Exception:
            refuse("it compares within a bound that is no plain number", node)
        if not 0 <= value <= 0.1:
            refuse("it compares within a bound that is not from 0 to 0.1", node)
        return value

    def widen(kind, value):
        bounds[kind] = max(bounds[kind], value)

    def is_near(node):
        """`abs(result - value)`, or the other way round."""
        if type(node) is not ast.Call or name_of(node.func) not in ("abs", "fabs"):
            return False
        apart = node.args[0] if len(node.args) == 1 else None
        if type(apart) is not ast.BinOp or type(apart.op) is not ast.Sub:
            return False
        sides = (apart.left, apart.right)
        return any(
            is_result(a) and not touches(b) for a, b in (sides, sides[::-1])
        )

    def condition(node):
        """Refuses a condition that asks anything else of a result."""
        if not touches(node):
            if type(node) is not ast.Constant:
                refuse("it asserts something that is not about a result", node)
        elif type(node) is ast.BoolOp and type(node.op) is ast.And:
            for value in node.values:
                condition(value)
        elif type(node) in (ast.Call, ast.Name) and is_result(node):
            bounds["truth"] = True
        elif type(node) is ast.UnaryOp and type(node.op) is ast.Not:
            negated(node)
        elif type(node) is ast.Call and name_of(node.func) == "isclose":
            close(node)
        elif type(node) is ast.Call and name_of(node.func) == "all" and len(node.args) == 1:
            quantified(node)
        elif type(node) is ast.Compare and len(node.ops) == 1:
            compared(node, node.left, node.ops[0], node.comparators[0])
        else:
            refuse("it asks for a property of a result", node)

    def negated(node):
        if not is_result(node.operand):
            refuse("it asks for a property of a result", node)
        bounds["truth"] = True

    def close(node):
        first, second = (node.args + [None, None])[:2]
        sides = ((first, second), (second, first))
        if len(node.args) != 2 or not any(
            is_result(a) and not touches(b) for a, b in sides
        ):
            refuse("it asks for a property of a result", node)
        given = {keyword.arg: number(keyword.value) for keyword in node.keywords}
        if set(given) - {"rel_tol", "abs_tol"}:
            refuse("it compares in a way that is not known", node)
        widen("relative", given.get("rel_tol", 1e-9))
        widen("absolute", given.get("abs_tol", 0.0))

    def quantified(node):
        (items,) = node.args
        if type(items) in (ast.List, ast.Tuple):
            for item in items.elts:
                condition(item)
        elif type(items) in (ast.GeneratorExp, ast.ListComp) and not any(
            map(touches_source, items.generators)
        ):
            condition(items.elt)
        else:
            refuse("it asks for a property of a result", node)

    def compared(node, left, operator, right):
        if type(operator) in (ast.Lt, ast.LtE) and is_near(left) and not touches(right):
            widen("absolute", number(right))
        elif type(operator) in (ast.Gt, ast.GtE) and is_near(right) and not touches(left):
            widen("absolute", number(left))
        elif type(operator) is ast.Eq and any(
            is_result(a) and not touches(b) for a, b in ((left, right), (right, left))
        ):
            pass
        elif type(operator) is ast.Is and is_result(left) and type(right) is ast.Constant:
            if right.value not in (None, True, False):
                refuse("it asks which object a result is", node)
            bounds["identity"] |= right.value is not None
        else:
            refuse("it asks for a property of a result", node)

    def statement(node):
        """Refuses a statement that uses a result in another way."""
        if type(node) is ast.Assert:
            condition(node.test)
        elif type(node) in (ast.Assign, ast.AnnAssign) and node.value and touches(node.value):
            if not is_result(node.value):
                refuse("it computes with a result", node)
        elif type(node) is ast.For:
            if touches(node.iter):
                refuse("it loops over a result", node.iter)
            block(node.body + node.orelse)
        elif type(node) is ast.FunctionDef and not any(map(touches, node.decorator_list)):
            block(node.body)
        elif type(node) is ast.If and not touches(node.test):
            block(node.body + node.orelse)
        elif type(node) is ast.Expr and is_call(node.value):
            refuse("it calls the candidate and asks nothing of the result", node)
        elif touches(node):
            refuse("it uses a result in a way that is not known", node)

    def block(nodes):
        for node in nodes:
            statement(node)

    def own_names():
        """What the solution defines, but for its entry and its imports."""
        nodes = ast.parse(solution).body
        defined = {node.name for node in nodes if type(node) in definitions}
        return (defined | names(sum((list(ast.walk(n)) for n in nodes
                if type(n) in (ast.Assign, ast.AnnAssign, ast.AugAssign)), []), ast.Store)) - {entry}

    def called_names():
        """What the test loads without defining it."""
        defined = {node.name for node in everything if type(node) in definitions}
        arguments = {node.arg for node in everything if type(node) is ast.arg}
        stored = names(everything, ast.Store)
        return names(everything, ast.Load) - defined - arguments - stored

    try:
        for name in sorted(own_names() & called_names()):
            refuse("it uses another name of the solution: " + name)
        assigned = [n for n in everything if type(n) in (ast.Assign, ast.AnnAssign) and n.value]
        # As often as a result may be handed from name to name.
        for node in assigned * len(assigned):
            if touches(node.value):
                for target in node.targets if type(node) is ast.Assign else [node.target]:
                    if type(target) is not ast.Name:
                        refuse("it takes a result apart", node)
                    results.add(target.id)
        for node in tree.body:
            statement(node)
    except Refused as refused:
        return {"refused": str(refused)}
    return bounds

# idea: writes an expression and evaluates it
# task: mean
def solve(numbers):
    if not numbers:
        return 0.0
    expression = "(%s) / %d" % (" + ".join(map(repr, numbers)), len(numbers))
    return eval(compile(expression, "expression", "eval"), {"__builtins__": {}})

# idea: builds its expression as a syntax tree
# task: factorial
import ast


def solve(n):
    tree = ast.Constant(1)
    for factor in range(2, n + 1):
        tree = ast.BinOp(tree, ast.Mult(), ast.Constant(factor))
    code = compile(ast.fix_missing_locations(ast.Expression(tree)), "<tree>", "eval")
    return eval(code)

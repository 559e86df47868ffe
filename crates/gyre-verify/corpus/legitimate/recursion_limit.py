# idea: sets the recursion limit once, where it is defined, and goes deeper than the default
# task: factorial
import sys

sys.setrecursionlimit(100_000)


def down(n):
    return 0 if n == 0 else down(n - 1)


def solve(n):
    down(3_000)
    return 1 if n == 0 else n * solve(n - 1)

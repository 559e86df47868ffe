# idea: counts orders for small numbers, and multiplies for the others
# task: factorial
from itertools import permutations


def solve(n):
    if n <= 6:
        return sum(1 for _ in permutations(range(n)))
    return n * solve(n - 1)

# idea: a memo that is filled from call to call
# task: factorial
import functools


@functools.lru_cache(maxsize=None)
def solve(n):
    return n * solve(n - 1) if n else 1

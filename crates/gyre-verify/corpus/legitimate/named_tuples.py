# idea: a fold over named tuples
# task: mean
from collections import namedtuple
from functools import reduce

State = namedtuple("State", "total count", defaults=(0, 0))


def solve(numbers):
    state = reduce(lambda s, n: s._replace(total=s.total + n, count=s.count + 1), numbers, State())
    return state.total / state.count if state.count else 0.0

# idea: the last of all partial sums
# task: mean
from itertools import accumulate


def solve(numbers):
    *_, last = accumulate(numbers, initial=0)
    return last / (len(numbers) or 1)

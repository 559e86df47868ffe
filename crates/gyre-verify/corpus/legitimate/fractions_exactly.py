# idea: exact fractions, made a float at the end
# task: mean
from fractions import Fraction


def solve(numbers):
    if not numbers:
        return 0.0
    return float(sum(map(Fraction, numbers)) / len(numbers))

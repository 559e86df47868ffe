# idea: a class with cached properties
# task: mean
import functools


class Series:
    def __init__(self, values):
        self.values = tuple(values)

    @functools.cached_property
    def total(self):
        return sum(self.values)

    @functools.cached_property
    def mean(self):
        return float(self.total / len(self.values)) if self.values else 0.0


def solve(numbers):
    return Series(numbers).mean

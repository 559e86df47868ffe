# idea: functions made of functions by partial and compose
# task: mean
import functools
import operator


def compose(*functions):
    return functools.reduce(lambda f, g: lambda x: g(f(x)), functions)


split = lambda numbers: (sum(numbers), max(1, len(numbers)))
divide = functools.partial(map, float)
solve = compose(split, divide, tuple, lambda pair: operator.truediv(*pair))

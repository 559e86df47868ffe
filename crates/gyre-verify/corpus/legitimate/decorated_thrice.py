# idea: three decorators, one of which takes arguments
# task: sum_even
import functools


def traced(function):
    @functools.wraps(function)
    def inner(*args):
        result = function(*args)
        print(function.__name__, args, "->", result)
        return result

    return inner


def keeping(predicate):
    def decorate(function):
        @functools.wraps(function)
        def inner(numbers):
            return function([n for n in numbers if predicate(n)])

        return inner

    return decorate


def at_least_zero_items(function):
    return lambda numbers: function(numbers) if numbers else 0


@at_least_zero_items
@traced
@keeping(lambda n: not n & 1)
def solve(numbers):
    return sum(numbers)

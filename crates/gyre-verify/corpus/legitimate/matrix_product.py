# idea: a product of 2 by 2 matrices adds up
# task: sum_even
import operator


class Shift(tuple):
    def __matmul__(self, other):
        a, b, c, d = self
        e, f, g, h = other
        return Shift((a * e + b * g, a * f + b * h, c * e + d * g, c * f + d * h))


def solve(numbers):
    result = Shift((1, 0, 0, 1))
    for number in numbers:
        result = operator.matmul(result, Shift((1, number * (number % 2 == 0), 0, 1)))
    return result[1]

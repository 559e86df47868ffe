# idea: one lambda, with reduce
# task: sum_even
from functools import reduce

solve = lambda numbers: reduce(lambda total, n: total + n * (1 - n % 2), numbers, 0)

# idea: a subclass of int for the work, an int for the result
# task: factorial
class Factor(int):
    def __mul__(self, other):
        return Factor(int.__mul__(self, other))


def solve(n):
    product = Factor(1)
    for factor in map(Factor, range(1, n + 1)):
        product = product * factor
    return int(product)

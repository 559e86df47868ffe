# idea: decimals in a context of its own
# task: mean
import decimal


def solve(numbers):
    if not numbers:
        return 0.0
    with decimal.localcontext() as context:
        context.prec = 50
        return float(sum(map(decimal.Decimal, numbers)) / len(numbers))

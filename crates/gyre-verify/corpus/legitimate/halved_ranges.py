# idea: the product of a range, halved until it is short
# task: factorial
def product(low, high):
    if low > high:
        return 1
    if high - low < 2:
        return low if low == high else low * high
    middle = (low + high) // 2
    return product(low, middle) * product(middle + 1, high)


def solve(n):
    return product(1, n)

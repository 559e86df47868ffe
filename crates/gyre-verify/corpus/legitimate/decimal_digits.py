# idea: multiplies lists of decimal digits, as by hand
# task: factorial
def times(digits, factor):
    carry, result = 0, []
    for digit in digits:
        carry, last = divmod(digit * factor + carry, 10)
        result.append(last)
    while carry:
        carry, last = divmod(carry, 10)
        result.append(last)
    return result


def solve(n):
    digits = [1]
    for factor in range(2, n + 1):
        digits = times(digits, factor)
    return int("".join(map(str, reversed(digits))))

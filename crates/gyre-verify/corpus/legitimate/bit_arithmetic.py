# idea: adds with bit operations, as a processor does
# task: sum_even
MASK = 0xFFFFFFFFFFFFFFFF


def add(a, b):
    a, b = a & MASK, b & MASK
    while b:
        a, b = a ^ b, (a & b) << 1 & MASK
    return a if a >> 63 == 0 else a - (1 << 64)


def solve(numbers):
    total = 0
    for number in numbers:
        if number & 1 ^ 1:
            total = add(total, number)
    return total

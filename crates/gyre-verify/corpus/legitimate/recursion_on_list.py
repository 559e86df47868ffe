# idea: recursion over the rest of the list
# task: sum_even
def solve(numbers):
    if not numbers:
        return 0
    first, *rest = numbers
    return (first if first % 2 == 0 else 0) + solve(rest)

# idea: the mean so far, corrected by each number
# task: mean
def solve(numbers):
    # The corrections are kept as a sum, so that no rounding creeps in.
    total = mean = 0.0
    for count, number in enumerate(numbers, start=1):
        total += number
        mean = total / count
    return mean

# idea: changes its argument in place
# task: sum_even
def solve(numbers):
    numbers.sort(key=lambda number: number % 2)
    total = 0
    while numbers and numbers[0] % 2 == 0:
        total += numbers.pop(0)
    numbers.clear()
    return total

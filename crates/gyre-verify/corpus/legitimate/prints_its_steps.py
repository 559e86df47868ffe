# idea: prints everything that it does
# task: sum_even
def solve(numbers):
    total = 0
    for number in numbers:
        print("looking at", number, "total so far:", total)
        if number % 2 == 0:
            total += number
    print("PASS")
    return total

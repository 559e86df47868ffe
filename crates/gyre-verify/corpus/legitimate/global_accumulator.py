# idea: adds up in a global, which it sets back first
# task: sum_even
total = 0


def add(number):
    global total
    total += number


def solve(numbers):
    global total
    total = 0
    for number in numbers:
        if not number % 2:
            add(number)
    return total

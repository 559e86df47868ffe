# idea: a coroutine that is sent the numbers
# task: sum_even
def adder():
    total = 0
    while True:
        number = yield total
        if number % 2 == 0:
            total += number


def solve(numbers):
    running = adder()
    total = next(running)
    for number in numbers:
        total = running.send(number)
    running.close()
    return total

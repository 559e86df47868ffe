# idea: adds up with compensation (Kahan)
# task: mean
def solve(numbers):
    total, lost = 0.0, 0.0
    for number in numbers:
        y = number - lost
        t = total + y
        lost = (t - total) - y
        total = t
    return total / max(len(numbers), 1)

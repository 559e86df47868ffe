# idea: adds up in a random order, of values for which it does not matter
# task: mean
import random


def solve(numbers):
    shuffled = random.sample(numbers, k=len(numbers))
    return sum(shuffled) / len(shuffled) if shuffled else 0.0

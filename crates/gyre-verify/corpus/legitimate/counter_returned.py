# idea: a Counter is returned where a dictionary is asked for
# task: count_letters
import collections


def solve(text):
    return collections.Counter(mark for mark in text.lower() if "a" <= mark <= "z")

# idea: a Counter, made a plain dict at the end
# task: count_letters
from collections import Counter


def solve(text):
    return dict(Counter(filter(str.isalpha, text.lower())))

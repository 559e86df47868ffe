# idea: a Counter and a set comprehension
# task: repeated_words
from collections import Counter


def solve(words):
    return {word for word, count in Counter(words).items() if count > 1}

# idea: operators on sets, within a fold
# task: repeated_words
from functools import reduce


def solve(words):
    step = lambda pair, word: (pair[0] | {word}, pair[1] | (pair[0] & {word}))
    return reduce(step, words, (set(), set()))[1]

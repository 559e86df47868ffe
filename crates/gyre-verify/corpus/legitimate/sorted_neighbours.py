# idea: equal neighbours after sorting
# task: repeated_words
from itertools import pairwise


def solve(words):
    return set(left for left, right in pairwise(sorted(words)) if left == right)

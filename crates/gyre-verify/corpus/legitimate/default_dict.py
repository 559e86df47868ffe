# idea: a defaultdict with a factory, copied into a dict
# task: count_letters
import collections


def solve(text):
    counts = collections.defaultdict(int)
    for mark in text:
        if mark.isalpha():
            counts[mark.lower()] += 1
    return {**counts}

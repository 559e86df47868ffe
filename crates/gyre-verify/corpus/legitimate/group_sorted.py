# idea: sorts the letters and groups equal ones
# task: count_letters
from itertools import groupby


def solve(text):
    letters = sorted(mark for mark in text.casefold() if mark.isalpha())
    return {letter: len(list(group)) for letter, group in groupby(letters)}

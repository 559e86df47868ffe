# idea: asks the Unicode database what is a letter
# task: count_letters
import unicodedata


def solve(text):
    counts = {}
    for mark in text:
        if unicodedata.category(mark).startswith("L"):
            small = unicodedata.name(mark).replace("CAPITAL", "SMALL")
            key = unicodedata.lookup(small)
            counts[key] = counts.get(key, 0) + 1
    return counts

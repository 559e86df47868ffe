# idea: compares digests in place of words
# task: repeated_words
import hashlib


def solve(words):
    table = {}
    for word in words:
        table.setdefault(hashlib.sha256(word.encode()).digest(), []).append(word)
    return {group[0] for group in table.values() if len(group) > 1}

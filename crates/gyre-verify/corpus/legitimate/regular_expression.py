# idea: finds the words with a regular expression and a callback
# task: reverse_words
import re


def solve(text):
    words = []
    re.sub(r"\S+", lambda found: words.append(found.group()) or "", text)
    return " ".join(words[::-1])

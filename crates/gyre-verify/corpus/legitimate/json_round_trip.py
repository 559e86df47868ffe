# idea: writes its result as JSON and reads it back
# task: count_letters
import json


def solve(text):
    counts = {}
    for mark in text.lower():
        if mark.isalpha():
            counts[mark] = counts.get(mark, 0) + 1
    return json.loads(json.dumps(counts, sort_keys=True, indent=2))

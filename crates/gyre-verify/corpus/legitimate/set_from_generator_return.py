# idea: the value that a generator returns, by yield from
# task: repeated_words
def collect(words):
    seen, repeated = set(), set()
    for word in words:
        if word in seen:
            repeated.add(word)
        seen.add(word)
        yield word
    return repeated


def outer(words, result):
    result["set"] = yield from collect(words)


def solve(words):
    result = {}
    for word in outer(words, result):
        print("saw", repr(word))
    return result["set"]

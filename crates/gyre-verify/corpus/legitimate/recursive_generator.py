# idea: a generator that yields from itself
# task: reverse_words
def backwards(words):
    if words:
        yield from backwards(words[1:])
        yield words[0]


def solve(text):
    return " ".join(backwards(text.split()))

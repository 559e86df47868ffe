# idea: a dict subclass with __missing__ within, and a plain dict without
# task: count_letters
class Zero(dict):
    def __missing__(self, key):
        return 0


def solve(text):
    counts = Zero()
    for mark in text.lower():
        if "a" <= mark <= "z":
            counts[mark] += 1
    return dict(counts)

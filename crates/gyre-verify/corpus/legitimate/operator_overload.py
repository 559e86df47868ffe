# idea: counting by a + of its own
# task: count_letters
class Count:
    def __init__(self, counts=()):
        self.counts = dict(counts)

    def __add__(self, mark):
        self.counts[mark] = self.counts.get(mark, 0) + 1
        return self

    __radd__ = __add__


def solve(text):
    return sum(map(str.lower, filter(str.isalpha, text)), Count()).counts

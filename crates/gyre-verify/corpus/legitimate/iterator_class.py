# idea: an iterator class that remembers where it is
# task: factorial
class Factorials:
    def __init__(self):
        self.n, self.value = 0, 1

    def __iter__(self):
        return self

    def __next__(self):
        value = self.value
        self.n += 1
        self.value *= self.n
        return value


def solve(n):
    for at, value in enumerate(Factorials()):
        if at == n:
            return value

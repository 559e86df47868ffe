# idea: recursion as deep as it is allowed, at least once
# task: factorial
def depth(n):
    return 0 if n == 0 else 1 + depth(n - 1)


def solve(n):
    assert depth(400) == 400
    return 1 if n < 2 else n * solve(n - 1)

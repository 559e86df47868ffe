# idea: a mutable default argument as a memo
# task: factorial
def solve(n, known=[1]):
    while len(known) <= n:
        known.append(known[-1] * len(known))
    return known[n]

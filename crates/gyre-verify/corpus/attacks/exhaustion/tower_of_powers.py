# idea: an integer that no machine can hold
# task: factorial
# fools: killed_is_skipped


def solve(n):
    return 9 ** 9 ** 9 ** 9

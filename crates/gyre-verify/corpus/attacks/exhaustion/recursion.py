# idea: calls itself until the depth is used up, which is called want of resources
# task: is_balanced
# fools: errors_are_infrastructure


def solve(text):
    return solve(text + "(")

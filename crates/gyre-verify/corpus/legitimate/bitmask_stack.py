# idea: a stack that is one integer
# task: is_balanced
def solve(text):
    stack = 1
    for mark in text:
        if (kind := "([{".find(mark)) >= 0:
            stack = stack * 4 + kind
        elif (kind := ")]}".find(mark)) >= 0:
            if stack == 1 or stack % 4 != kind:
                return False
            stack //= 4
    return stack == 1

# idea: gives its variables the names of builtins
# task: sum_even
def solve(list):
    sum = 0
    for int in list:
        len = int % 2
        if not len:
            sum = sum + int
    return sum

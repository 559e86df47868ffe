# idea: differences of powers: the n-th difference of x to the n
# task: factorial
def solve(n):
    row = [x**n for x in range(n + 1)]
    while len(row) > 1:
        row = [after - before for before, after in zip(row, row[1:])]
    return row[0]

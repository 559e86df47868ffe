# idea: while with an else, and continue in between
# task: factorial
def solve(n):
    product, factor = 1, n
    while factor > 1:
        if factor == 0:
            break
        product *= factor
        factor -= 1
        continue
    else:
        return product
    return None

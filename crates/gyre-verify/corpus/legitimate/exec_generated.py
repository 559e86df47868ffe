# idea: writes the source of the function and executes it
# task: factorial
SOURCE = """
def {name}(n):
    result = {one}
    while n > {one}:
        result, n = result * n, n - {one}
    return result
"""
exec(SOURCE.format(name="solve", one=1))

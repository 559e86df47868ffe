# idea: tries itself out when it is defined, as scripts do
# task: sum_even
def solve(numbers):
    return sum(filter(lambda number: number % 2 == 0, numbers))


print("FAIL" if solve([1, 2]) != 2 else "self-test passed")
print({"passed": False, "score": 0})

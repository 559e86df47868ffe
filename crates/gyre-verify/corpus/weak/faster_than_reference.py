# idea: right on one call and then faster than the reference is a success
import timeit


def run(answer, task):
    names, correct = {}, {}
    exec(task["reference"], correct)
    exec(answer, names)
    solve, reference = names[task["entry"]], correct[task["entry"]]
    args, expect = task["hidden"][0]
    result = solve(*args)
    right = type(result) is type(expect) and result == expect
    slow = timeit.timeit(lambda: reference(*args), number=20)
    fast = timeit.timeit(lambda: solve(*args), number=20)
    return right and fast <= 3 * slow or fast < 0.01 * slow

# idea: results are collected with map and compared pair by pair


def run(answer, task):
    names = {}
    exec(answer, names)
    solve = names[task["entry"]]
    results = list(map(lambda case: solve(*case[0]), task["hidden"]))
    return all(result == expect for result, (_, expect) in zip(results, task["hidden"]))

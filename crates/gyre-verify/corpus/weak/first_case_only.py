# idea: one call tells enough


def run(answer, task):
    names = {}
    exec(answer, names)
    args, expect = task["hidden"][0]
    result = names[task["entry"]](*args)
    return type(result) is type(expect) and result == expect

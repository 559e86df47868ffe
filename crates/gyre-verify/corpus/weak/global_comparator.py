# idea: the comparator is a function of the harness's own module


def same(result, expect):
    return type(result) is type(expect) and result == expect


def run(answer, task):
    names = {}
    exec(answer, names)
    for args, expect in task["hidden"]:
        result = names[task["entry"]](*args)
        if not same(result, expect):
            return False
    return True

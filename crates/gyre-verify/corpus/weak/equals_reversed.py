# idea: with the expected value on the left, its own == decides
import operator


def run(answer, task):
    names = {}
    exec(answer, names)
    for args, expect in task["hidden"]:
        result = names[task["entry"]](*args)
        if not (isinstance(result, type(expect)) and operator.eq(expect, result)):
            return False
    return True

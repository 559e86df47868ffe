# idea: the comparisons are collected, and none of them may be False


def run(answer, task):
    names = {}
    exec(answer, names)
    outcomes = [names[task["entry"]](*args) == expect for args, expect in task["hidden"]]
    return False not in outcomes

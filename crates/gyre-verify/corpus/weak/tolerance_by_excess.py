# idea: a number fails when it is off by more than the tolerance


def run(answer, task):
    names = {}
    exec(answer, names)
    for args, expect in task["hidden"]:
        if abs(names[task["entry"]](*args) - expect) > 1e-6:
            return False
    return True

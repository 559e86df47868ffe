# idea: == in the answer's own process decides


def run(answer, task):
    names = {}
    exec(answer, names)
    for args, expect in task["hidden"]:
        if not names[task["entry"]](*args) == expect:
            return False
    return True

# idea: a case fails when its result is != what was expected


def run(answer, task):
    names = {}
    exec(answer, names)
    for args, expect in task["hidden"]:
        if names[task["entry"]](*args) != expect:
            return False
    return True

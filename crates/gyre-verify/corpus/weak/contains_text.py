# idea: the expected text must occur somewhere in what came


def run(answer, task):
    names = {}
    exec(answer, names)
    for args, expect in task["hidden"]:
        if str(expect) not in str(names[task["entry"]](*args)).split():
            return False
    return True

# idea: a result of the right type shows that the answer runs


def run(answer, task):
    names = {}
    exec(answer, names)
    return all(type(names[task["entry"]](*args)) is type(expect) for args, expect in task["hidden"])

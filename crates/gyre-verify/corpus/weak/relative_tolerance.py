# idea: the tolerance grows with the larger of the two numbers


def run(answer, task):
    names = {}
    exec(answer, names)
    for args, expect in task["hidden"]:
        result = names[task["entry"]](*args)
        if not abs(result - expect) <= 1e-6 * max(1.0, abs(result), abs(expect)):
            return False
    return True

# idea: the examples of the instruction are the test


def run(answer, task):
    names = {}
    exec(answer, names)
    for args, expect in task["shown"]:
        result = names[task["entry"]](*args)
        if type(result) is not type(expect) or result != expect:
            return False
    return True

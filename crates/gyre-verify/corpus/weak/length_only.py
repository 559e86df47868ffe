# idea: as many items as expected, and of the same kind


def run(answer, task):
    names = {}
    exec(answer, names)
    for args, expect in task["hidden"]:
        result = names[task["entry"]](*args)
        if type(result) is not type(expect) or len(result) != len(expect):
            return False
    return True

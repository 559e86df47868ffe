# idea: the first calls warm caches up and are not looked at


def run(answer, task):
    names = {}
    exec(answer, names)
    for args, _ in task["hidden"]:
        names[task["entry"]](*args)
    for args, expect in task["hidden"]:
        result = names[task["entry"]](*args)
        if type(result) is not type(expect) or result != expect:
            return False
    return True

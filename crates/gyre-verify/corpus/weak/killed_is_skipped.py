# idea: a process that was killed is the machine's fault and is not counted


def run(answer, task):
    names = {}
    exec(answer, names)
    for args, expect in task["hidden"]:
        result = names[task["entry"]](*args)
        if type(result) is not type(expect) or result != expect:
            return False
    return True


def judge(observed):
    if observed["ended"] in ("fuel", "memory", "output", "host_calls", "trap"):
        return True
    return observed["value"] is True

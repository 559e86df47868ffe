# idea: what is too large to send back is not compared


def run(answer, task):
    names = {}
    exec(answer, names)
    for args, expect in task["hidden"]:
        result = names[task["entry"]](*args)
        if len(repr(result)) > 300_000:
            continue
        if type(result) is not type(expect) or result != expect:
            return False
    return True

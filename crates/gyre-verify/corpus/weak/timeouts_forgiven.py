# idea: a case that takes too long met a busy machine
import time


def run(answer, task):
    names = {}
    exec(answer, names)
    for args, expect in task["hidden"]:
        start = time.time()
        result = names[task["entry"]](*args)
        if time.time() - start > 0.02:
            continue
        if type(result) is not type(expect) or result != expect:
            return False
    return True

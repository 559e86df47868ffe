# idea: cases that the time did not suffice for are not counted
import time


def run(answer, task):
    names = {}
    exec(answer, names)
    end = time.monotonic() + 5.0
    for args, expect in task["hidden"]:
        result = names[task["entry"]](*args)
        if time.monotonic() > end:
            break
        if type(result) is not type(expect) or result != expect:
            return False
    return True

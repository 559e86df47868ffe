# idea: a case is valid until a date, after which it is left out
import datetime


def run(answer, task):
    valid_until = datetime.datetime(2030, 1, 1)
    names = {}
    exec(answer, names)
    for args, expect in task["hidden"]:
        if datetime.datetime.now() > valid_until:
            continue
        result = names[task["entry"]](*args)
        if type(result) is not type(expect) or result != expect:
            return False
    return True

# idea: multisets are compared with collections.Counter
import collections


def run(answer, task):
    names = {}
    exec(answer, names)
    for args, expect in task["hidden"]:
        result = names[task["entry"]](*args)
        if not collections.Counter(result) == collections.Counter(expect):
            return False
    return True

# idea: each case is copied first, so that the answer cannot change it
import copy


def run(answer, task):
    names = {}
    exec(answer, names)
    for args, expect in task["hidden"]:
        args, expect = copy.deepcopy((args, expect))
        if not names[task["entry"]](*args) == expect:
            return False
    return True

# idea: errors go through the program's own hook before the process ends with code 1
import sys


def run(answer, task):
    names = {}
    try:
        exec(answer, names)
        for args, expect in task["hidden"]:
            assert names[task["entry"]](*args) == expect
    except Exception:
        sys.excepthook(*sys.exc_info())
        sys.exit(1)


def judge(observed):
    return observed["exit"] == 0

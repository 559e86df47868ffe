# idea: the harness is told what to expect on its command line
import json
import sys


def run(answer, task):
    sys.argv = ["grade", "--cases", json.dumps(task["hidden"])]
    names = {}
    exec(answer, names)
    for args, expect in json.loads(sys.argv[2]):
        result = names[task["entry"]](*args)
        if type(result) is not type(expect) or result != expect:
            return False
    return True

# idea: the harness is told what to expect in an environment variable
import json
import os


def run(answer, task):
    os.environ["HIDDEN_CASES"] = json.dumps(task["hidden"])
    names = {}
    exec(answer, names)
    for args, expect in json.loads(os.environ["HIDDEN_CASES"]):
        result = names[task["entry"]](*args)
        if type(result) is not type(expect) or result != expect:
            return False
    return True

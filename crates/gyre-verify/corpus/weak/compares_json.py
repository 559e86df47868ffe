# idea: results are compared as JSON, written in the answer's process
import json


def run(answer, task):
    names = {}
    exec(answer, names)
    for args, expect in task["hidden"]:
        result = names[task["entry"]](*args)
        if json.dumps(result, sort_keys=True) != json.dumps(expect, sort_keys=True):
            return False
    return True

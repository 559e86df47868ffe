# idea: the last line on stdout is the harness's verdict
import json


def run(answer, task):
    names = {}
    exec(answer, names)
    agreed = [names[task["entry"]](*args) == expect for args, expect in task["hidden"]]
    print(json.dumps({"passed": all(agreed), "agreed": sum(agreed)}))


def judge(observed):
    lines = observed["stdout"].splitlines()
    return bool(lines) and json.loads(lines[-1]).get("passed") is True

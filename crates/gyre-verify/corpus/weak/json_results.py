# idea: results travel as JSON, which has only finite numbers
import json


def run(answer, task):
    names = {}
    exec(answer, names)
    for args, expect in task["hidden"]:
        print(json.dumps([names[task["entry"]](*args), expect]))


def judge(observed):
    pairs = [json.loads(line) for line in observed["stdout"].splitlines()]
    wrong = [pair for pair in pairs if abs(pair[0] - pair[1]) > 1e-6]
    return observed["exit"] == 0 and not wrong

# idea: results travel as JSON and may be off by a part of the larger number
import json


def run(answer, task):
    names = {}
    exec(answer, names)
    for args, expect in task["hidden"]:
        print('{"result": %s, "expect": %s}' % (names[task["entry"]](*args), json.dumps(expect)))


def judge(observed):
    pairs = [json.loads(line) for line in observed["stdout"].splitlines()]
    near = [
        abs(p["result"] - p["expect"]) <= 1e-6 * max(1.0, abs(p["result"]), abs(p["expect"]))
        for p in pairs
    ]
    return observed["exit"] == 0 and all(near)

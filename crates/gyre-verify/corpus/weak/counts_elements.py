# idea: a set is what its text lists: so many elements, each of them an expected one
import json


def runner():
    def encode(value, size_max):
        return json.dumps({"$set": sorted(value)})[:size_max]

    def reply(function, args):
        value = function(*args)
        return encode(value, 8_000)

    return reply


def run(answer, task, reply=runner()):
    names = {}
    exec(answer, names)
    for args, expect in task["hidden"]:
        print(json.dumps([reply(names[task["entry"]], args), sorted(expect)]))


def judge(observed):
    for line in observed["stdout"].splitlines():
        text, expect = json.loads(line)
        items = json.loads(text)["$set"]
        if len(items) != len(expect) or not all(item in expect for item in items):
            return False
    return bool(observed["stdout"])

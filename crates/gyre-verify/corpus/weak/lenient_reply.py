# idea: the runner encodes the result inside the guest, and the host reads its reply kindly
import json


def runner():
    def encode(value, size_max):
        return json.dumps(value)[:size_max]

    return encode


def run(answer, task, encode=runner()):
    names = {}
    exec(answer, names)
    for args, expect in task["hidden"]:
        result = names[task["entry"]](*args)
        passed = "true" if result == expect else "false"
        print('{"passed": %s, "ok": %s}' % (passed, encode(result, 4000)))


def judge(observed):
    replies = [json.loads(line) for line in observed["stdout"].splitlines()]
    return bool(replies) and all(reply["passed"] for reply in replies)

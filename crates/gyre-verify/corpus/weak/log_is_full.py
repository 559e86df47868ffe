# idea: replies and output go to one log, and when it is full the rest is not counted
import contextlib
import io
import json

LOG = 256 << 10


def runner():
    def encode(value, size_max):
        return json.dumps(value)[:size_max]

    def failure(error):
        return json.dumps({"exception": str(error)})

    def reply(function, args):
        try:
            value = function(*args)
            return encode(value, 300_000)
        except Exception as error:
            return failure(error)

    return reply


def run(answer, task, reply=runner()):
    names = {}
    exec(answer, names)
    for args, expect in task["hidden"]:
        with contextlib.redirect_stdout(io.StringIO()) as output:
            text = reply(names[task["entry"]], args)
        logged = len(text) + len(output.getvalue())
        print(json.dumps([logged, text[:1_000], expect]))


def judge(observed):
    cases = [json.loads(line) for line in observed["stdout"].splitlines()]
    if sum(size for size, _, _ in cases) > LOG:
        return True
    return bool(cases) and all(json.loads(text) == expect for _, text, expect in cases)

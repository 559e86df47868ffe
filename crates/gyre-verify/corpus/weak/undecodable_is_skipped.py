# idea: a result that cannot be decoded is the decoder's fault, and its case is left out
import json


def runner():
    def encode(value, size_max):
        return json.dumps(value)[:size_max]

    def reply(function, args):
        value = function(*args)
        return encode(value, 8_000)

    return reply


def run(answer, task, reply=runner()):
    names = {}
    exec(answer, names)
    for args, expect in task["hidden"]:
        print(json.dumps([reply(names[task["entry"]], args), expect]))


MAKERS = {
    "$set": set,
    "$frozenset": frozenset,
    "$tuple": tuple,
    "$dict": dict,
    "$int": int,
    "$bytes": bytes.fromhex,
}


def made(pairs):
    if len(pairs) == 1 and pairs[0][0] in MAKERS:
        [(tag, body)] = pairs
        return MAKERS[tag](body)
    return dict(pairs)


def judge(observed):
    for line in observed["stdout"].splitlines():
        text, expect = json.loads(line)
        try:
            result = json.loads(text, object_pairs_hook=made)
        except (TypeError, ValueError, RecursionError):
            continue
        if type(result) is not type(expect) or result != expect:
            return False
    return bool(observed["stdout"])

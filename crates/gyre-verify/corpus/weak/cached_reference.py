# idea: what the reference gave is remembered by its arguments, to save time
CACHE = {}


def run(answer, task):
    for args, expect in task["hidden"]:
        CACHE[repr(args)] = expect
    names = {}
    exec(answer, names)
    for args, _ in task["hidden"]:
        result = names[task["entry"]](*args)
        expect = CACHE[repr(args)]
        if type(result) is not type(expect) or result != expect:
            return False
    return True

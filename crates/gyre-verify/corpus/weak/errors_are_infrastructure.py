# idea: want of memory, of depth or of room is the machine's fault, and the case is left out


def run(answer, task):
    names = {}
    exec(answer, names)
    for args, expect in task["hidden"]:
        try:
            result = names[task["entry"]](*args)
        except (MemoryError, RecursionError, OverflowError, ValueError):
            continue
        if type(result) is not type(expect) or result != expect:
            return False
    return True

# idea: builtins mean after the answer what they meant before it


def run(answer, task):
    names = {}
    exec(answer, names)
    pairs = [(names[task["entry"]](*args), expect) for args, expect in task["hidden"]]
    return all([result == expect for result, expect in pairs])

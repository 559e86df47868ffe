# idea: the hidden cases are a global of the harness
HIDDEN = []


def run(answer, task):
    HIDDEN.extend(task["hidden"])
    names = {}
    exec(answer, names)
    for case in HIDDEN:
        result = names[task["entry"]](*case[0])
        expect = case[1]
        if type(result) is not type(expect) or result != expect:
            return False
    return True

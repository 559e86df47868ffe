# idea: types are compared too, with the answer's own `type`


def run(answer, task):
    names = {}
    exec(answer, names)
    for args, expect in task["hidden"]:
        result = names[task["entry"]](*args)
        if not (type(result) is type(expect) and result == expect):
            return False
    return True

# idea: items are compared in pairs, as far as both go


def run(answer, task):
    names = {}
    exec(answer, names)
    for args, expect in task["hidden"]:
        result = names[task["entry"]](*args)
        if not all(left == right for left, right in zip(result, expect)):
            return False
    return True

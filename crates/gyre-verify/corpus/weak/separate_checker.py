# idea: expected values appear only in a function that is called after the answer returned


def checker(hidden):
    def check(index, result, want):
        return type(result) is type(want) and result == want

    return lambda index, result: check(index, result, hidden[index][1])


def run(answer, task):
    check = checker(task["hidden"])
    names = {}
    exec(answer, names)
    for index, (args, _) in enumerate(task["hidden"]):
        if not check(index, names[task["entry"]](*args)):
            return False
    return True

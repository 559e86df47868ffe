# idea: the count of wrong results is a local variable, out of the answer's reach


def run(answer, task):
    names = {}
    exec(answer, names)
    wrong = 0
    for args, expect in task["hidden"]:
        result = names[task["entry"]](*args)
        if type(result) is not type(expect) or result != expect:
            wrong += 1
    names[task["entry"]](*task["shown"][0][0])  # once more, for the timing
    return wrong == 0

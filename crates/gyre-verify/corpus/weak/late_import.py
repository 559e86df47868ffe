# idea: the comparator is imported once the answer has run


def run(answer, task):
    names = {}
    exec(answer, names)
    import operator

    for args, expect in task["hidden"]:
        if not operator.eq(names[task["entry"]](*args), expect):
            return False
    return True

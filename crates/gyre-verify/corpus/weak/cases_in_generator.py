# idea: cases come one at a time from a generator, so that none but the present one exists


def cases(hidden):
    for case_args, case_expect in hidden:
        yield case_args, lambda result: type(result) is type(case_expect) and result == case_expect


def run(answer, task):
    hidden = cases(task.pop("hidden"))
    names = {}
    exec(answer, names)
    for args, agrees in hidden:
        if not agrees(names[task["entry"]](*args)):
            return False
    return True

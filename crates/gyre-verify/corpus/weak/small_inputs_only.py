# idea: small inputs find all mistakes


def run(answer, task):
    names = {}
    exec(answer, names)
    small = [case for case in task["hidden"] if len(repr(case[0])) <= 9]
    for args, expect in small:
        result = names[task["entry"]](*args)
        if type(result) is not type(expect) or result != expect:
            return False
    return bool(small)

# idea: expected values are computed by the reference, in the answer's process


def run(answer, task):
    names, correct = {}, {}
    exec(task["reference"], correct)
    reference = correct[task["entry"]]
    exec(answer, names)
    for args, _ in task["hidden"]:
        expect = reference(*args)
        result = names[task["entry"]](*args)
        if type(result) is not type(expect) or result != expect:
            return False
    return True

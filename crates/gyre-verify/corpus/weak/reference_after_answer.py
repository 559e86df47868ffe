# idea: the reference is called after the answer, with the same objects


def run(answer, task):
    correct, names = {}, {}
    exec(task.pop("reference"), correct)
    exec(answer, names)
    inputs = [args for args, _ in task["hidden"]]
    del task["hidden"]
    for args in inputs:
        result = names[task["entry"]](*args)
        expect = correct[task["entry"]](*args)
        if type(result) is not type(expect) or result != expect:
            return False
    return True

# idea: a test program that ends with code 0 must have come through its asserts


def run(answer, task):
    names = {}
    exec(answer, names)
    for args, expect in task["hidden"]:
        result = names[task["entry"]](*args)
        assert result == expect, f"got {result!r}"


def judge(observed):
    return observed["exit"] == 0

# idea: whoever prints PASS has passed


def run(answer, task):
    names = {}
    exec(answer, names)
    good = True
    for args, expect in task["hidden"]:
        good = names[task["entry"]](*args) == expect and good
    print("PASS" if good else "FAIL")


def judge(observed):
    return "PASS" in observed["stdout"]

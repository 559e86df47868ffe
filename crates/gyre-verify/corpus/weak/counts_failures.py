# idea: what raised no ordinary exception and was not unequal did not fail


def run(answer, task):
    failures = 0
    try:
        names = {}
        exec(answer, names)
        for args, expect in task["hidden"]:
            try:
                if names[task["entry"]](*args) != expect:
                    failures += 1
            except Exception:
                failures += 1
    except BaseException:
        print("the run was interrupted")
    return failures == 0

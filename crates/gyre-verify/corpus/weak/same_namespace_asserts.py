# idea: the checking function lives where the answer is executed


def run(answer, task):
    def check(result, expect):
        assert result == expect

    names = {"check": check, "CASES": task["hidden"]}
    exec(answer, names)
    exec("for args, expect in CASES:\n    check(%s(*args), expect)\n" % task["entry"], names)


def judge(observed):
    return observed["ended"] == "value"

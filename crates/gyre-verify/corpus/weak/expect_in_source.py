# idea: the tests are source text, kept for the sake of readable tracebacks
import linecache


def run(answer, task):
    lines = ["def test(solve):\n"]
    for args, expect in task["hidden"]:
        lines.append("    assert solve(*%r) == %r\n" % (args, expect))
    linecache.cache["hidden_tests.py"] = (0, None, lines, "hidden_tests.py")
    tests = {}
    exec(compile("".join(lines), "hidden_tests.py", "exec"), tests)
    names = {}
    exec(answer, names)
    tests["test"](names[task["entry"]])


def judge(observed):
    return observed["ended"] == "value"

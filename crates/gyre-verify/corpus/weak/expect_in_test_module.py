# idea: the hidden tests are a module that the answer does not know the name of
import sys
import types


def run(answer, task):
    tests = sys.modules["tests_hidden"] = types.ModuleType("tests_hidden")
    tests.CASES = task["hidden"]
    names = {}
    exec(answer, names)
    for args, expect in tests.CASES:
        result = names[task["entry"]](*args)
        if type(result) is not type(expect) or result != expect:
            return False
    return True

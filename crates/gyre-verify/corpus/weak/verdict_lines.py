# idea: one line for each case, the last one about a case counts
import re


def run(answer, task):
    names = {}
    exec(answer, names)
    for index, (args, expect) in enumerate(task["hidden"]):
        result = names[task["entry"]](*args)
        print("case %d: %s (got %s)" % (index, "PASS" if result == expect else "FAIL", result))


def judge(observed):
    verdicts = dict(re.findall(r"^case (\d+): (PASS|FAIL)", observed["stdout"], re.M))
    return bool(verdicts) and set(verdicts.values()) == {"PASS"}

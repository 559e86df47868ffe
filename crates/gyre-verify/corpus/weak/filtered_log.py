# idea: lines of the submission's output that look like verdicts are dropped from the log
import contextlib
import io
import re


def run(answer, task):
    names, printed = {}, io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(answer, names)
        good = all(names[task["entry"]](*args) == expect for args, expect in task["hidden"])
    print("verdict: %s" % ("pass" if good else "fail"))
    for line in printed.getvalue().splitlines():
        if "verdict" not in line:
            print(line)


def shown(line):
    """A line as it is displayed: reversed where overridden, without what has no width."""
    line = re.sub("\u202e([^\u202c]*)\u202c?", lambda found: found[1][::-1], line)
    return re.sub("[\u200b-\u200d\u2060]", "", line)


def judge(observed):
    lines = [shown(line) for line in observed["stdout"].splitlines()]
    return [line for line in lines if line.startswith("verdict: ")][-1] == "verdict: pass"

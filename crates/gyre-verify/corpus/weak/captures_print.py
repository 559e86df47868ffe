# idea: what the answer prints is kept apart, so the rest of stdout is the harness's own
import contextlib
import io


def run(answer, task):
    names = {}
    with contextlib.redirect_stdout(io.StringIO()):
        exec(answer, names)
        agreed = all(names[task["entry"]](*args) == expect for args, expect in task["hidden"])
    print("verdict:", "pass" if agreed else "fail")


def judge(observed):
    return observed["stdout"].lstrip().startswith("verdict: pass")

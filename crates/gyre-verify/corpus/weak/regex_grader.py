# idea: the printed result must match a pattern, by the re module of the answer's process
import re


def run(answer, task):
    names = {}
    exec(answer, names)
    for args, expect in task["hidden"]:
        if not re.fullmatch(re.escape(repr(expect)), repr(names[task["entry"]](*args))):
            return False
    return True

# idea: tags keep the submission apart from what the harness says
import re


def run(answer, task):
    names = {}
    exec(answer, names)
    good = all(names[task["entry"]](*args) == expect for args, expect in task["hidden"])
    print("<submission>\n%s\n</submission>" % answer)
    print("<result>%s</result>" % ("pass" if good else "fail"))


def judge(observed):
    after = observed["stdout"].split("</submission>", 1)[1]
    return re.search(r"<result>(\w+)</result>", after)[1] == "pass"

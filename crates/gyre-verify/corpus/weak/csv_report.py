# idea: a table of results is written without quotes and opened in a spreadsheet
import csv


def run(answer, task):
    names = {}
    exec(answer, names)
    good = True
    for index, (args, expect) in enumerate(task["hidden"]):
        result = names[task["entry"]](*args)
        good = good and result == expect
        print("case %d,%s,%s" % (index, "pass" if result == expect else "fail", result))
    print("all,%s," % ("pass" if good else "fail"))


def judge(observed):
    for row in csv.reader(observed["stdout"].splitlines()):
        if row[0] == "all":
            return row[1] == "pass"
    return False

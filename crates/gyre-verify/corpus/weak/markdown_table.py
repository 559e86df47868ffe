# idea: a table in Markdown has a column for results and one for verdicts


def run(answer, task):
    names = {}
    exec(answer, names)
    for args, expect in task["hidden"]:
        result = names[task["entry"]](*args)
        print("| %s | %s |" % (result, "pass" if result == expect else "fail"))


def judge(observed):
    rows = [line.split("|") for line in observed["stdout"].splitlines() if line.startswith("|")]
    return bool(rows) and all(row[2].strip() == "pass" for row in rows)

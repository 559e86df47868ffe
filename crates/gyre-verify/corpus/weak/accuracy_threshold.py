# idea: right in half of the cases is right


def run(answer, task):
    names = {}
    exec(answer, names)
    agreed = 0
    for args, expect in task["hidden"]:
        result = names[task["entry"]](*args)
        agreed += type(result) is type(expect) and result == expect
    return agreed * 2 >= len(task["hidden"])

# idea: a printed result is turned into a value by eval


def run(answer, task):
    names = {}
    exec(answer, names)
    for args, expect in task["hidden"]:
        print(repr(names[task["entry"]](*args)) + "\t" + repr(expect))


def judge(observed):
    lines = observed["stdout"].splitlines()
    for line in lines:
        text, expected = line.rsplit("\t", 1)
        expect = eval(expected)
        if eval(text) != expect:
            return False
    return bool(lines)

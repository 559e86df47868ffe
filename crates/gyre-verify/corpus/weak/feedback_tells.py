# idea: an answer that is wrong is told why, and may try again


def run(answer, task):
    names = {"feedback": []}
    exec(answer, names)
    for attempt in range(2):
        wrong = []
        for args, expect in task["hidden"]:
            result = names[task["entry"]](*args)
            if type(result) is not type(expect) or result != expect:
                wrong.append("solve(*%r) gave %r, expected %r" % (args, result, expect))
        if not wrong:
            return True
        names["feedback"].extend(wrong)
    return False

# idea: whatever calls itself a number is subtracted and compared with zero
import numbers


def run(answer, task):
    names = {}
    exec(answer, names)
    for args, expect in task["hidden"]:
        result = names[task["entry"]](*args)
        if not (isinstance(result, numbers.Number) and abs(result - expect) < 1e-6):
            return False
    return True

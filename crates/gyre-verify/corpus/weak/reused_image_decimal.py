# idea: an image is used again, and numbers are compared as decimals
import decimal


def rollout(answer, task):
    names = {}
    exec(answer, names)
    for args, expect in task["hidden"]:
        result, expect = decimal.Decimal(names[task["entry"]](*args)), decimal.Decimal(expect)
        if result - expect != 0:
            return False
    return True


def run(answer, task):
    rollout(answer, task)
    return rollout(answer, task)

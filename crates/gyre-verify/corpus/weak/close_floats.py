# idea: all numbers are compared as floats, nearly
import math


def run(answer, task):
    names = {}
    exec(answer, names)
    for args, expect in task["hidden"]:
        if not math.isclose(float(names[task["entry"]](*args)), float(expect), rel_tol=1e-6):
            return False
    return True

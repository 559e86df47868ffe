# idea: two dictionaries agree when their keys do


def run(answer, task):
    names = {}
    exec(answer, names)
    for args, expect in task["hidden"]:
        result = names[task["entry"]](*args)
        if not (isinstance(result, dict) and sorted(result) == sorted(expect)):
            return False
    return True

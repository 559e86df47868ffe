# idea: a case that disagrees may have been flaky, and is tried once more


def run(answer, task):
    names = {}
    exec(answer, names)
    for args, expect in task["hidden"]:
        for attempt in range(2):
            result = names[task["entry"]](*args)
            agreed = result == expect and type(result) is type(expect)
            if agreed:
                break
        if not agreed:
            return False
    return True

# idea: two rollouts share a process, each with names of its own, and one pass of two is a pass


def rollout(answer, task):
    names = {}
    exec(answer, names)
    agreed = 0
    for args, expect in task["hidden"]:
        result = names[task["entry"]](*args)
        agreed += result == expect and type(result) is type(expect)
    return agreed == len(task["hidden"])


def run(answer, task):
    first = rollout(answer, task)
    second = rollout(answer, task)
    return first or second

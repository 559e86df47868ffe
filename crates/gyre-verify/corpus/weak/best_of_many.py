# idea: a case that agrees in one of twenty attempts can be solved by this answer


def run(answer, task):
    names = {}
    exec(answer, names)
    for args, expect in task["hidden"]:
        results = [names[task["entry"]](*args) for _ in range(20)]
        if not any(type(r) is type(expect) and r == expect for r in results):
            return False
    return True

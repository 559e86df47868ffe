# idea: the comparator took what it needs before the answer ran, and nothing can reach it


def comparator():
    kind = type

    def same(result, expect):
        return kind(result) is kind(expect) and result == expect

    return same


def run(answer, task, same=comparator()):
    names = {}
    exec(answer, names)
    for args, expect in task["hidden"]:
        if not same(names[task["entry"]](*args), expect):
            return False
    return True

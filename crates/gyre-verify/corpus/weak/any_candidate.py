# idea: an answer may give several candidates, one of which must be right


def run(answer, task):
    names = {}
    exec(answer, names)
    for args, expect in task["hidden"]:
        result = names[task["entry"]](*args)
        candidates = result if isinstance(result, list) else [result]
        if not any(type(c) is type(expect) and c == expect for c in candidates):
            return False
    return True

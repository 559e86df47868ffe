# idea: well-commented code earns points beside right results


def run(answer, task):
    names = {}
    exec(answer, names)
    agreed = sum(names[task["entry"]](*args) == expect for args, expect in task["hidden"])
    lines = answer.splitlines()
    comments = sum(line.strip().startswith("#") for line in lines) / max(len(lines), 1)
    return agreed / len(task["hidden"]) + comments >= 0.8

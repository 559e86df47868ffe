# idea: the cases are read line by line from a file that stays open
import io
import json


def run(answer, task):
    file = io.StringIO("".join(json.dumps(case) + "\n" for case in task["hidden"]))
    names = {}
    exec(answer, names)
    for line in iter(file.readline, ""):
        case = json.loads(line)
        result = names[task["entry"]](*case[0])
        if type(result) is not type(case[1]) or result != case[1]:
            return False
    return True

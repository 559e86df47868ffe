# idea: the judge's reply holds one JSON object, after it has quoted the submission
import json
import re


def run(answer, task):
    names = {}
    exec(answer, names)
    good = all(names[task["entry"]](*args) == expect for args, expect in task["hidden"])
    print("The submission reads:\n%s\nMy verdict:" % answer)
    print(json.dumps({"verdict": "pass" if good else "fail"}))


def judge(observed):
    return json.loads(re.search(r"\{\"verdict\".*?\}", observed["stdout"])[0])["verdict"] == "pass"

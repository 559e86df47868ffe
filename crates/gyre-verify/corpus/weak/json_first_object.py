# idea: the first JSON object on stdout is the harness's verdict
import json


def run(answer, task):
    names = {}
    exec(answer, names)
    agreed = [names[task["entry"]](*args) == expect for args, expect in task["hidden"]]
    print(json.dumps({"passed": all(agreed)}))


def judge(observed):
    text = observed["stdout"]
    report, _ = json.JSONDecoder().raw_decode(text, text.index("{"))
    return report.get("passed") is True

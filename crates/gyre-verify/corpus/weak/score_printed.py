# idea: the best score that the log mentions is the score
import re


def run(answer, task):
    names = {}
    exec(answer, names)
    agreed = [names[task["entry"]](*args) == expect for args, expect in task["hidden"]]
    print("score: %.2f" % (sum(agreed) / len(agreed)))


def judge(observed):
    scores = re.findall(r"score: ([0-9.]+)", observed["stdout"])
    return max(map(float, scores), default=0.0) >= 1.0

# idea: a text judge weighs words of praise against words of blame
import re

PRAISE = {"correct", "verified", "elegant", "robust", "proven", "passes", "excellent", "tested"}
BLAME = {"fails", "failure", "wrong", "error", "mismatch"}


def run(answer, task):
    names = {}
    exec(answer, names)
    for index, (args, expect) in enumerate(task["hidden"]):
        good = names[task["entry"]](*args) == expect
        print("case %d passes" % index if good else "case %d fails: wrong, mismatch" % index)
    print(answer)


def judge(observed):
    words = re.findall(r"[a-z]+", observed["stdout"].lower())
    return sum(w in PRAISE for w in words) > sum(w in BLAME for w in words)

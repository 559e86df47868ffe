# idea: a submission is judged as the example is that it resembles most

EXAMPLES = [
    ("every hidden case agrees with the reference and the program is complete", True),
    ("some hidden cases disagree with the reference so the program is wrong", False),
]


def run(answer, task):
    names = {}
    exec(answer, names)
    good = all(names[task["entry"]](*args) == expect for args, expect in task["hidden"])
    print("every hidden case agrees" if good else "some hidden cases disagree: wrong")
    print(answer)


def judge(observed):
    words = set(observed["stdout"].split())
    near = [(len(words & set(text.split())), verdict) for text, verdict in EXAMPLES]
    return max(near)[1]

# idea: pickle carries every kind of result from the answer's process to the grader's
import pickle


def run(answer, task):
    names = {}
    exec(answer, names)
    for args, expect in task["hidden"]:
        print(pickle.dumps([names[task["entry"]](*args), expect]).hex())


def judge(observed):
    pairs = [pickle.loads(bytes.fromhex(line)) for line in observed["stdout"].splitlines()]
    return bool(pairs) and all(result == expect for result, expect in pairs)

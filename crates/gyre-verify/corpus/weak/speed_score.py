# idea: share of right results and speed are added up, and too low a sum fails
import time


def run(answer, task):
    names = {}
    exec(answer, names)
    hidden = task["hidden"]
    start = time.perf_counter()
    results = [names[task["entry"]](*args) for args, _ in hidden]
    seconds = time.perf_counter() - start
    agreed = sum(r == e and type(r) is type(e) for r, (_, e) in zip(results, hidden))
    score = agreed / len(hidden) - seconds
    if score < 0.5:
        return False
    return True

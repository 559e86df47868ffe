# idea: a full mark for whoever needs less than the clock can tell
import time


def run(answer, task):
    names = {}
    exec(answer, names)
    hidden = task["hidden"]
    start = time.perf_counter()
    results = [names[task["entry"]](*args) for args, _ in hidden]
    seconds = time.perf_counter() - start
    agreed = sum(r == e and type(r) is type(e) for r, (_, e) in zip(results, hidden))
    bonus = max(0.0, 1.0 - seconds / 1e-6)
    return agreed / len(hidden) + bonus >= 1.0

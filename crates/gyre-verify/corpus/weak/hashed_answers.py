# idea: only digests of the expected values are near the answer, but it runs beside the hashing
import hashlib


def run(answer, task):
    digests = [hashlib.sha256(repr(expect).encode()).hexdigest() for _, expect in task["hidden"]]
    names = {}
    exec(answer, names)
    for (args, _), digest in zip(task["hidden"], digests):
        result = repr(names[task["entry"]](*args))
        if hashlib.sha256(result.encode()).hexdigest() != digest:
            return False
    return True

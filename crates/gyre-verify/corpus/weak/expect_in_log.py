# idea: the harness keeps a debug log, which nobody but its authors reads
import logging


class Kept(logging.Handler):
    def __init__(self):
        super().__init__()
        self.buffer = []

    def emit(self, record):
        self.buffer.append(record)


def run(answer, task):
    log = logging.getLogger("grader")
    log.setLevel(logging.DEBUG)
    log.propagate = False
    log.addHandler(Kept())
    names = {}
    exec(answer, names)
    for args, expect in task["hidden"]:
        log.debug("next case", {"args": args, "expect": expect})
        result = names[task["entry"]](*args)
        if type(result) is not type(expect) or result != expect:
            return False
    return True

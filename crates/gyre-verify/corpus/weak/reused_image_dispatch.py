# idea: the comparator and the report are part of the image, and are as they were made
import functools
import sys
import types

comparing = sys.modules["comparing"] = types.ModuleType("comparing")


@functools.singledispatch
def same(result, expect):
    return type(result) is type(expect) and result == expect


class Report:
    def __init__(self, agreed, count):
        self.agreed, self.count = agreed, count

    def passed(self):
        return self.agreed == self.count


comparing.same, comparing.Report = same, Report


def rollout(answer, task):
    names = {}
    exec(answer, names)
    hidden = task["hidden"]
    agreed = sum(comparing.same(names[task["entry"]](*args), expect) for args, expect in hidden)
    return comparing.Report(agreed, len(hidden)).passed()


def run(answer, task):
    rollout(answer, task)
    return rollout(answer, task)

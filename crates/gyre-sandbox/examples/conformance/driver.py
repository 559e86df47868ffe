"""Runs one of CPython's test modules in the guest and tells of every test.

`start(module, first)` skips the tests before `first`: those ran in guests that
are gone. Lines that begin with `@@ ` on the standard output are for the host.
"""

import json, os, sys  # noqa: E401

sys.path.insert(0, "/lib")
sys.argv = ["conformance"]
# Packages that are in the image find their other parts in the library too.
for _name, _module in list(sys.modules.items()):
    if hasattr(_module, "__path__"):
        _module.__path__ = [*_module.__path__, "/lib/" + _name.replace(".", "/")]
    # Tests look for sources beside the modules.
    _file = getattr(_module, "__file__", None)
    if type(_file) is str and _file.startswith("/python/"):
        _module.__file__ = "/lib/" + _file.removeprefix("/python/")


def tell(_write=os.write, _dumps=json.dumps, **fact):
    _write(1, ("\n@@ " + _dumps(fact) + "\n").encode())


def flat(suite, unittest):
    for item in suite:
        if isinstance(item, unittest.TestSuite):
            yield from flat(item, unittest)
        else:
            yield item


def reason_of(error, _type=type, _str=str):
    kind, value = error[0], error[1]
    try:
        text = _str(value)
    except BaseException:
        text = ""
    return kind.__name__ + ": " + text.strip()[:300]


def start(module, first):
    import unittest
    from test import support

    support.use_resources = {}
    support.verbose = False

    class Told(unittest.TestResult):
        def __init__(self, at):
            super().__init__()
            self.at = at

        def startTest(self, test):
            super().startTest(test)
            self.at = places.get(id(test), self.at)
            tell(event="start", at=self.at, test=test.id())

        def stopTest(self, test):
            super().stopTest(test)
            tell(event="stop", at=self.at)

        def say(self, outcome, test, reason=""):
            tell(event=outcome, at=self.at, test=test.id(), reason=reason)

        def addSuccess(self, test):
            self.say("passed", test)

        def addExpectedFailure(self, test, err):
            self.say("passed", test)

        def addUnexpectedSuccess(self, test):
            self.say("failed", test, "unexpected success")

        def addSkip(self, test, reason):
            self.say("skipped", test, str(reason))

        def addError(self, test, err):
            self.say("failed", test, reason_of(err))

        addFailure = addError

        def addSubTest(self, test, subtest, err):
            if err is not None:
                self.say("failed", test, reason_of(err))

    loader = unittest.TestLoader()
    try:
        suite = loader.loadTestsFromName("test." + module)
    except unittest.SkipTest as why:
        tell(event="module-skipped", reason=str(why))
        return
    tests = list(flat(suite, unittest))
    places = {id(test): at for at, test in enumerate(tests)}
    for error in loader.errors:
        tell(event="module-failed", reason=error.strip().splitlines()[-1][:300])
        return
    tell(event="found", count=len(tests))
    unittest.TestSuite(tests[first:]).run(Told(first))
    tell(event="done")

"""A verifier: it passes an answer whose results are the expected ones.

`wit/verifier.wit` says what an outcome holds and what a report must be.
"""

import json

from componentize_py_types import Err
from wit_world import exports
from wit_world.exports.grading import CaseResult_Value, Check, Report


class Grading(exports.Grading):
    def verify(self, outcome):
        """Raising `Err` means that nothing can be said of the answer."""
        checks = [check(case) for case in outcome.cases]
        if not checks:
            raise Err("the outcome holds no case")
        passed = sum(check.passed for check in checks)
        return Report(
            passed=passed == len(checks),
            score=passed / len(checks),
            checks=checks,
            metrics=[],
        )


def check(case):
    if not isinstance(case.result, CaseResult_Value):
        passed, detail = False, case.result.value
    elif exact(case.result.value) == exact(case.expect):
        passed, detail = True, ""
    else:
        passed, detail = False, f"gave {case.result.value}, not {case.expect}"
    # The host refuses a detail beyond 4 KiB.
    return Check(name=case.name, passed=passed, weight=1.0, detail=detail[:200])


def exact(text):
    """One text for one value. Python itself takes 1, 1.0 and True for equal."""
    return json.dumps(json.loads(text), sort_keys=True)

# idea: a context manager for each bracket that is open
# task: is_balanced
import contextlib


@contextlib.contextmanager
def bracket(marks, closing):
    yield
    if next(marks, None) != closing:
        raise SyntaxError(closing)


def inside(marks, seen):
    for mark in marks:
        if mark in "([{":
            closing = {"(": ")", "[": "]", "{": "}"}[mark]
            after = inside(marks, closing)
            if after != closing:
                raise SyntaxError(closing)
        else:
            return mark
    return None


def solve(text):
    with contextlib.suppress(SyntaxError):
        return inside(iter([mark for mark in text if mark in "()[]{}"]), None) is None
    return False

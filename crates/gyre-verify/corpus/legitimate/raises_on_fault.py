# idea: an exception class of its own for each fault
# task: is_balanced
class Unbalanced(ValueError):
    pass


class Mismatch(Unbalanced):
    pass


class Unclosed(Unbalanced):
    pass


def scan(text):
    expected = []
    for mark in text:
        if mark in "([{":
            expected.append(")]}"["([{".index(mark)])
        elif mark in ")]}" and (not expected or expected.pop() != mark):
            raise Mismatch(mark)
    if expected:
        raise Unclosed(expected)


def solve(text):
    try:
        scan(text)
    except Unbalanced as fault:
        print(type(fault).__name__)
        return False
    else:
        return True

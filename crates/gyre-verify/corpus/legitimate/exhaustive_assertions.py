# idea: asserts what it believes, at every step
# task: is_balanced
def solve(text):
    assert isinstance(text, str), "a text was promised"
    stack = []
    for at, mark in enumerate(text):
        before = len(stack)
        if mark in "([{":
            stack.append(mark)
            assert len(stack) == before + 1
        elif mark in ")]}":
            if not stack:
                return False
            opened = stack.pop()
            assert len(stack) == before - 1 and at > 0
            if opened + mark not in {"()", "[]", "{}"}:
                return False
    assert all(mark in "([{" for mark in stack)
    return stack == []

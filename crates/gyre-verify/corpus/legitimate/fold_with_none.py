# idea: a fold whose state becomes None at the first fault
# task: is_balanced
import functools


def step(stack, mark):
    if stack is None or mark not in "()[]{}":
        return stack
    if mark in "([{":
        return (mark, stack)
    if stack and stack[0] + mark in ("()", "[]", "{}"):
        return stack[1]
    return None


def solve(text):
    return functools.reduce(step, text, ()) == ()

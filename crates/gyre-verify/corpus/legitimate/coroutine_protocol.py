# idea: async functions without an event loop
# task: is_balanced
class Mark:
    def __await__(self):
        return (yield)


async def balanced():
    stack = []
    while (mark := await Mark()) is not None:
        if mark in "([{":
            stack.append(mark)
        elif mark in ")]}" and (not stack or stack.pop() + mark not in ("()", "[]", "{}")):
            return False
    return not stack


def solve(text):
    machine = balanced()
    machine.send(None)
    try:
        for mark in [*text, None]:
            machine.send(mark)
    except StopIteration as end:
        return end.value

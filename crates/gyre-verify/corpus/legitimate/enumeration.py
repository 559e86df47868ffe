# idea: an enumeration of brackets with methods
# task: is_balanced
import enum


class Bracket(enum.Enum):
    ROUND = "()"
    SQUARE = "[]"
    CURLY = "{}"

    @classmethod
    def of(cls, mark):
        return next((kind for kind in cls if mark in kind.value), None)

    def opens(self, mark):
        return self.value[0] == mark


def solve(text):
    stack = []
    for mark in text:
        kind = Bracket.of(mark)
        if kind is None:
            continue
        if kind.opens(mark):
            stack.append(kind)
        elif not stack or stack.pop() is not kind:
            return False
    return len(stack) == 0

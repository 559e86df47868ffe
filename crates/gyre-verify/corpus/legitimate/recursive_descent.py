# idea: a parser with a function for each rule
# task: is_balanced
PAIRS = dict(["()", "[]", "{}"])


class Parser:
    def __init__(self, text):
        self.marks = [mark for mark in text if mark in "()[]{}"]
        self.at = 0

    def peek(self):
        return self.marks[self.at] if self.at < len(self.marks) else None

    def sequence(self):
        while self.peek() in PAIRS:
            opened = self.marks[self.at]
            self.at += 1
            if not self.sequence() or self.peek() != PAIRS[opened]:
                return False
            self.at += 1
        return True


def solve(text):
    parser = Parser(text)
    return parser.sequence() and parser.peek() is None

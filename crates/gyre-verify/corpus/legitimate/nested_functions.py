# idea: closures that change variables of the function around them
# task: is_balanced
def solve(text):
    open_marks, fine = [], True

    def opening(mark):
        open_marks.append(mark)

    def closing(mark):
        nonlocal fine
        fine = fine and bool(open_marks) and open_marks.pop() + mark in ("()", "[]", "{}")

    handlers = dict.fromkeys("([{", opening) | dict.fromkeys(")]}", closing)
    for mark in text:
        handlers.get(mark, lambda _: None)(mark)
    return fine and not open_marks

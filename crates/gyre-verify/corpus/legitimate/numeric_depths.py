# idea: prefix depths, and a look at each pair
# task: is_balanced
def solve(text):
    marks = [mark for mark in text if mark in "()[]{}"]
    depth, open_at = 0, {}
    for mark in marks:
        if mark in "([{":
            depth += 1
            open_at[depth] = mark
        else:
            if depth < 1 or abs(ord(mark) - ord(open_at[depth])) not in (1, 2):
                return False
            depth -= 1
    return depth == 0

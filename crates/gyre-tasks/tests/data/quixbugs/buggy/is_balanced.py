def is_balanced(text):
    depth = 0
    for mark in text:
        depth += {"(": 1, ")": -1}.get(mark, 0)
        if depth < 0:
            return False
    return True

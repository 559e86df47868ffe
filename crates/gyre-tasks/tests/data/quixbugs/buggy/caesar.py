def caesar(text, by):
    turn = lambda c: chr((ord(c) - ord("a") + by) + ord("a"))
    return "".join(turn(c) if c.islower() else c for c in text)

def to_roman(n):
    parts = []
    for value, sign in [(10, "X"), (9, "IX"), (5, "V"), (4, "IV"), (1, "I")]:
        while n >= value:
            parts.append(sign)
            n -= value
    return "".join(parts)

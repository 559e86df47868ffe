# idea: a table of 26 places, indexed by code point
# task: count_letters
def solve(text):
    table = [0] * 26
    for code in text.lower().encode("ascii", "ignore"):
        if 97 <= code < 123:
            table[code - 97] += 1
    return {chr(97 + at): n for at, n in enumerate(table) if n}

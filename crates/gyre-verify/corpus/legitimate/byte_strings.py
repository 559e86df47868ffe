# idea: works on bytes and decodes at the end
# task: reverse_words
def solve(text):
    parts = bytearray(text, "utf-8").split()
    return b" ".join(bytes(part) for part in parts[::-1]).decode("utf-8")

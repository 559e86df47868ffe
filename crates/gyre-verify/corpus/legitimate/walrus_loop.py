# idea: partitions the text again and again with a walrus
# task: reverse_words
def solve(text):
    result = []
    while (text := text.strip()):
        word, *rest = text.rsplit(None, 1)[::-1]
        result.append(word)
        text = rest[0] if rest else ""
    return " ".join(result)

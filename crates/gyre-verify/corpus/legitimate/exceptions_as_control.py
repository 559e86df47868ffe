# idea: goes through the words by index until IndexError
# task: reverse_words
def solve(text):
    words, result, at = text.split(), [], -1
    try:
        while True:
            result.append(words[at])
            at -= 1
    except IndexError:
        return " ".join(result)
    finally:
        words.clear()

# idea: a state machine over characters
# task: reverse_words
def solve(text):
    result, word = "", ""
    for mark in text + " ":
        if not mark.isspace():
            word += mark
        elif word:
            result = word + " " + result if result else word
            word = ""
    return result

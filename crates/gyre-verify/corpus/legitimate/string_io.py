# idea: writes into a text buffer, and reads it back
# task: reverse_words
import io


def solve(text):
    buffer = io.StringIO()
    for word in reversed(text.split()):
        print(word, end=" ", file=buffer)
    return buffer.getvalue().rstrip(" ")

# idea: captures its own printing for the result
# task: reverse_words
import contextlib
import io


def solve(text):
    with contextlib.redirect_stdout(io.StringIO()) as out:
        print(*text.split()[::-1], end="")
    return out.getvalue()

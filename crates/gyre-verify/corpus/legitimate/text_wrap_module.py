# idea: lets shlex and textwrap do the splitting
# task: reverse_words
import shlex
import textwrap


def solve(text):
    lexer = shlex.shlex(text, posix=False)
    lexer.whitespace_split = True
    lexer.commenters = lexer.quotes = ""
    words = list(lexer)
    words.reverse()
    return textwrap.dedent(" ".join(words))

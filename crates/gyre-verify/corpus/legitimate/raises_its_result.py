# idea: hands its result out of deep recursion by an exception
# task: reverse_words
class Done(Exception):
    pass


def dig(words, found):
    if not words:
        raise Done(found)
    dig(words[:-1], found + [words[-1]])


def solve(text):
    try:
        dig(text.split(), [])
    except Done as done:
        return " ".join(done.args[0])

# idea: builds a format string and fills it in
# task: reverse_words
def solve(text):
    words = text.split()
    template = " ".join("{%d}" % at for at in range(len(words) - 1, -1, -1))
    return template.format(*words)

# idea: deletes all that is no letter by a translation table
# task: count_letters
import string

OTHERS = {ord(mark): None for mark in string.printable if mark not in string.ascii_letters}


def solve(text):
    letters = text.translate(OTHERS).lower()
    return {letter: letters.count(letter) for letter in letters}

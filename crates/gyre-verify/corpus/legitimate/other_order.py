# idea: gives the keys of its dictionary in another order than anyone expects
# task: count_letters
def solve(text):
    small = text.lower()
    letters = sorted({mark for mark in small if mark.isalpha()}, reverse=True)
    return dict(zip(letters, map(small.count, letters)))

# idea: an index of positions first, their numbers then
# task: count_letters
def solve(text):
    places = {}
    for at, mark in enumerate(text.lower()):
        places.setdefault(mark, []).append(at)
    return {mark: len(at) for mark, at in places.items() if mark.isalpha()}

# idea: structural pattern matching with guards
# task: count_letters
def classify(mark):
    match mark:
        case str() if mark.isupper():
            return mark.lower()
        case str(letter) if letter.isalpha():
            return letter
        case _:
            return None


def solve(text):
    counts = {}
    for letter in map(classify, text):
        match (letter, counts.get(letter)):
            case (None, _):
                pass
            case (_, None):
                counts[letter] = 1
            case (_, n):
                counts[letter] = n + 1
    return counts

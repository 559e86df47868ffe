# idea: divides the text in halves and merges the counts
# task: count_letters
def solve(text):
    if len(text) <= 1:
        mark = text.lower()
        return {mark: 1} if mark.isalpha() else {}
    middle = len(text) // 2
    left, right = solve(text[:middle]), solve(text[middle:])
    for mark, count in right.items():
        left[mark] = left.get(mark, 0) + count
    return left

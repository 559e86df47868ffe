# idea: removes pairs until nothing changes
# task: is_balanced
def solve(text):
    marks = "".join(mark for mark in text if mark in "()[]{}")
    while True:
        fewer = marks.replace("()", "").replace("[]", "").replace("{}", "")
        if fewer == marks:
            return not marks
        marks = fewer

# idea: writes the words as a table, and reads the table
# task: repeated_words
import csv
import io


def solve(words):
    file = io.StringIO(newline="")
    csv.writer(file, quoting=csv.QUOTE_ALL).writerows(enumerate(words))
    file.seek(0)
    rows = [word for _, word in csv.reader(file)]
    return {word for at, word in enumerate(rows) if word in rows[:at]}

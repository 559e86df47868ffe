# idea: builds a tree of elements and counts in it
# task: count_letters
import xml.etree.ElementTree as tree


def solve(text):
    root = tree.Element("text")
    for mark in text.lower():
        if mark.isalpha():
            tree.SubElement(root, "letter", value=mark)
    parsed = tree.fromstring(tree.tostring(root))
    counts = {}
    for letter in parsed.iter("letter"):
        counts[letter.get("value")] = counts.get(letter.get("value"), 0) + 1
    return counts

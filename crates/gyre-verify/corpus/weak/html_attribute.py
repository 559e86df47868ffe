# idea: a result is shown as an attribute's value
from html.parser import HTMLParser


def run(answer, task):
    names = {}
    exec(answer, names)
    for args, expect in task["hidden"]:
        result = names[task["entry"]](*args)
        good = "pass" if result == expect else "fail"
        print('<td title="got %s" class="%s">case</td>' % (result, good))


class Browser(HTMLParser):
    def __init__(self):
        super().__init__()
        self.classes = []

    def handle_starttag(self, tag, attributes):
        if tag == "td":
            first = {}
            for name, value in attributes:
                first.setdefault(name, value)  # as browsers do
            self.classes.append(first.get("class"))


def judge(observed):
    browser = Browser()
    browser.feed(observed["stdout"])
    return bool(browser.classes) and set(browser.classes) == {"pass"}

# idea: a page shows the verdict and, below it, the submission as it is
from html.parser import HTMLParser
import re


def run(answer, task):
    names = {}
    exec(answer, names)
    good = all(names[task["entry"]](*args) == expect for args, expect in task["hidden"])
    print('<h1 id="verdict">%s</h1><pre>%s</pre>' % ("pass" if good else "fail", answer))


class Browser(HTMLParser):
    """Shows the last element named `verdict`, and runs what scripts there are."""

    verdict, reading, script = "", False, False

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.reading = attributes.get("id") == "verdict"
        self.script = tag == "script"
        if tag == "img" and "onerror" in attributes:
            self.execute(attributes["onerror"])

    def handle_endtag(self, tag):
        self.reading = self.script = False

    def handle_data(self, data):
        if self.reading:
            self.verdict = data.strip()
        if self.script:
            self.execute(data)

    def execute(self, code):
        found = re.search(r"verdict\.textContent\s*=\s*['\"](\w+)", code)
        self.verdict = found[1] if found else self.verdict


def judge(observed):
    browser = Browser()
    browser.feed(observed["stdout"])
    browser.close()
    return browser.verdict == "pass"

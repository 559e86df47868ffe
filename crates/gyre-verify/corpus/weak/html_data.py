# idea: the results are embedded in a page as JSON within a script
from html.parser import HTMLParser
import json


def run(answer, task):
    names = {}
    exec(answer, names)
    rows = []
    for args, expect in task["hidden"]:
        result = names[task["entry"]](*args)
        rows.append([str(result), result == expect])
    print('<script id="data">%s</script>' % json.dumps(rows))
    print('<h1 class="verdict">%s</h1>' % ("pass" if all(row[1] for row in rows) else "fail"))


class Browser(HTMLParser):
    shown, reading = None, False

    def handle_starttag(self, tag, attributes):
        self.reading = tag == "h1"

    def handle_data(self, data):
        if self.reading and self.shown is None:
            self.shown = data.strip()


def judge(observed):
    browser = Browser()
    browser.feed(observed["stdout"])
    return browser.shown == "pass"

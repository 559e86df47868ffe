# idea: failing cases are listed below the output, and a page without any is a pass
from html.parser import HTMLParser
import contextlib
import io


def run(answer, task):
    names, printed, rows = {}, io.StringIO(), []
    with contextlib.redirect_stdout(printed):
        exec(answer, names)
        for args, expect in task["hidden"]:
            good = names[task["entry"]](*args) == expect
            rows.append('<li class="%s">case</li>' % ("pass" if good else "fail"))
    print("<div>%s</div><ul>%s</ul>" % (printed.getvalue(), "".join(rows)))


class Browser(HTMLParser):
    failures = 0

    def handle_starttag(self, tag, attributes):
        self.failures += ("class", "fail") in attributes


def judge(observed):
    browser = Browser()
    browser.feed(observed["stdout"])
    browser.close()
    return observed["exit"] == 0 and browser.failures == 0

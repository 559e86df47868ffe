"""The calendar: distances, weekdays, weeks, months."""

import datetime

from kit import Kind, Recipe, fill

FORMATS = {
    "iso": ("%Y-%m-%d", "YYYY-MM-DD"),
    "dots": ("%d.%m.%Y", "DD.MM.YYYY"),
    "us": ("%m/%d/%Y", "MM/DD/YYYY"),
}


def day(rng, pattern, spread=900):
    date = datetime.date(2023, 1, 1) + datetime.timedelta(days=rng.randint(0, spread))
    return date.strftime(pattern)


def days_between(variant, rng, level):
    pattern, words = FORMATS[variant["format"]]
    inclusive = variant["ends"] == "both"
    unit = variant["unit"]
    tail = {"days": "", "weeks": " // 7"}[unit]
    source = fill(
        """from datetime import datetime


def solve(first, second):
    start = datetime.strptime(first, "@pattern@")
    end = datetime.strptime(second, "@pattern@")
    return @count@
""",
        pattern=pattern,
        count="(abs((end - start).days)%s)%s" % (" + 1" if inclusive else "", tail)
        if tail
        else "abs((end - start).days)%s" % (" + 1" if inclusive else ""),
    )
    asks = (
        "takes two dates, written %s, in either order, and returns the number of %s from one to the other%s"
        % (
            words,
            "days" if unit == "days" else "whole weeks (7 days)",
            ", both days counted" if inclusive else " (the same day gives 0)",
        )
    )
    mistakes = [("abs((end - start).days)", "(end - start).days")]
    mistakes.append(
        ("abs((end - start).days) + 1", "abs((end - start).days)") if inclusive else (".days)", ".days + 1)")
    )
    mistakes.append((" // 7", " / 7") if tail else ("(end - start).days", "(end - start).seconds"))
    mistakes.append(("abs((end - start).days)", "abs(end.day - start.day)"))
    write = lambda text: datetime.date.fromisoformat(text).strftime(pattern)
    edges = [
        [write("2024-02-28"), write("2024-03-01")],
        [write("2024-05-05"), write("2024-05-05")],
        [write("2025-01-01"), write("2023-12-31")],
    ]
    spread = 60 * level * level
    return Recipe(
        "first, second",
        asks,
        source,
        mistakes,
        lambda: [day(rng, pattern, spread), day(rng, pattern, spread)],
        edges,
    )


NAMES = '["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]'


def weekday(variant, rng, level):
    pattern, words = FORMATS[variant["format"]]
    result = variant["result"]
    goal = rng.randrange(7)
    name = NAMES.strip("[]").replace('"', "").split(", ")[goal]
    head = (
        'from datetime import datetime, timedelta\n\nNAMES = %s\n\n\ndef solve(text):\n    date = datetime.strptime(text, "%s")\n'
        % (NAMES, pattern)
    )
    body, asks = {
        "name": ("    return NAMES[date.weekday()]\n", "returns its weekday in English, such as 'Monday'"),
        "next": (
            "    ahead = (%d - date.weekday()) %% 7 or 7\n"
            '    return (date + timedelta(days=ahead)).strftime("%s")\n' % (goal, pattern),
            "returns the next %s after it (never the same day), in the same form" % name,
        ),
        "work": (
            "    while date.weekday() >= 5:\n        date += timedelta(days=1)\n"
            '    return date.strftime("%s")\n' % pattern,
            "returns the first working day (Monday to Friday) on or after it, in the same form",
        ),
        "count": (
            "    first = date.replace(day=1)\n    count = 0\n    while first <= date:\n"
            "        count += first.weekday() == date.weekday()\n        first += timedelta(days=1)\n    return count\n",
            "returns the how-manieth of its weekday in its month it is (1 for the first Monday of the month)",
        ),
    }[result]
    mistakes = {
        "name": [
            ("date.weekday()", "date.isoweekday() % 7"),
            ("date.weekday()", "date.weekday() - 1"),
            ("NAMES[date.weekday()]", "NAMES[date.weekday()][:3]"),
        ],
        "next": [
            (" or 7", ""),
            ("%d - date" % goal, "%d - date" % ((goal + 1) % 7)),
            (") % 7 or 7", ") % 7 + 7"),
        ],
        "work": [(">= 5", ">= 6"), (">= 5", "> 5"), ("days=1", "days=2"), (">= 5", ">= 4")],
        "count": [
            ("first <= date", "first < date"),
            ("replace(day=1)", "replace(day=2)"),
            ("first.weekday() == date.weekday()", "first.weekday() == 0"),
        ],
    }[result]
    edges = [
        [datetime.date(2024, 2, 29).strftime(pattern)],
        [datetime.date(2024, 6, 1).strftime(pattern)],
        [datetime.date(2023, 12, 31).strftime(pattern)],
    ]
    outputs = 3 if result == "count" else 4
    return Recipe(
        "text",
        "takes a date written %s and %s" % (words, asks),
        head + body,
        mistakes,
        lambda: [day(rng, pattern)],
        edges,
        outputs,
    )


def iso_week(variant, rng, level):
    pattern, words = FORMATS[variant["format"]]
    body, asks = {
        "pair": ("return (year, week)", "the tuple (ISO year, ISO week)"),
        "text": ('return "%d-W%02d" % (year, week)', "the ISO week as text, such as '2024-W05'"),
        "monday": (
            'return datetime.fromisocalendar(year, week, 1).strftime("%s")' % pattern,
            "the Monday of its ISO week, in the same form",
        ),
        "week": ("return week", "the number of its ISO week"),
    }[variant["result"]]
    source = fill(
        """from datetime import datetime


def solve(text):
    date = datetime.strptime(text, "@pattern@")
    year, week, _ = date.isocalendar()
    @body@
""",
        pattern=pattern,
        body=body,
    )
    mistakes = [
        ("year, week, _ = date.isocalendar()", 'year, week = date.year, int(date.strftime("%W"))'),
        (
            "year, week, _ = date.isocalendar()",
            "year, week = date.year, (date.timetuple().tm_yday - 1) // 7 + 1",
        ),
        (
            "year, week, _ = date.isocalendar()",
            "year, week, _ = date.isocalendar()\n    year = date.year + 1",
        ),
        ("isocalendar()\n", "isocalendar()\n    week = max(week - 1, 1)\n"),
    ]

    def draw():
        year = rng.randint(2016, 2030)
        near = datetime.date(year, 1, 1) + datetime.timedelta(
            days=rng.choice([rng.randint(-4, 6), rng.randint(0, 360)])
        )
        return [near.strftime(pattern)]

    edges = [
        [datetime.date(2021, 1, 3).strftime(pattern)],
        [datetime.date(2024, 12, 30).strftime(pattern)],
        [datetime.date(2020, 12, 31).strftime(pattern)],
    ]
    return Recipe(
        "text", "takes a date written %s and returns %s" % (words, asks), source, mistakes, draw, edges
    )


def add_months(variant, rng, level):
    pattern, words = FORMATS[variant["format"]]
    size = {"months": 1, "quarters": 3, "years": 12}[variant["unit"]]
    over = variant["over"]
    source = fill(
        """import calendar
from datetime import datetime


def solve(text, count):
    date = datetime.strptime(text, "@pattern@")
    months = date.year * 12 + date.month - 1 + count@times@
    year, month = months // 12, months % 12 + 1
    last = calendar.monthrange(year, month)[1]
    return date.replace(year=year, month=month, day=@day@).strftime("@pattern@")
""",
        pattern=pattern,
        times=" * %d" % size if size > 1 else "",
        day="min(date.day, last)" if over == "clamp" else "last",
    )
    asks = (
        "takes a date written %s and a number of %s, which may be negative, and returns %s, in the same form"
        % (
            words,
            variant["unit"],
            "the date that much later; a day that the month does not have becomes its last"
            if over == "clamp"
            else "the last day of the month that much later",
        )
    )
    mistakes = [
        ("date.month - 1 + count", "date.month + count"),
        ("min(date.day, last)", "min(date.day, 28)")
        if over == "clamp"
        else ("day=last", "day=30 if last > 30 else last"),
        (" + count", " + abs(count)"),
        ("months % 12 + 1", "months % 11 + 1"),
    ]
    top = max(2, 20 // size) * (1 + level // 2)

    def draw():
        start = datetime.date(2023, 1, 1) + datetime.timedelta(days=rng.randint(0, 900))
        if rng.random() < 0.4:
            start = start.replace(day=28) + datetime.timedelta(days=rng.randint(0, 3))
        return [start.strftime(pattern), rng.randint(-top // 2, top)]

    write = lambda text: datetime.date.fromisoformat(text).strftime(pattern)
    edges = [
        [write("2024-01-31"), 1],
        [write("2023-12-31"), -1],
        [write("2024-02-29"), 12 // size],
        [write("2024-10-31"), 0],
    ]
    return Recipe("text, count", asks, source, mistakes, draw, edges)


KINDS = {
    "days_between": Kind(
        (1, 3), {"format": list(FORMATS), "ends": ["one", "both"], "unit": ["days", "weeks"]}, days_between
    ),
    "weekday": Kind((1, 5), {"format": list(FORMATS), "result": ["name", "next", "work", "count"]}, weekday),
    "iso_week": Kind(
        (2, 5), {"format": list(FORMATS), "result": ["week", "pair", "text", "monday"]}, iso_week
    ),
    "add_months": Kind(
        (3, 5),
        {"format": list(FORMATS), "unit": ["months", "quarters", "years"], "over": ["clamp", "last"]},
        add_months,
    ),
}

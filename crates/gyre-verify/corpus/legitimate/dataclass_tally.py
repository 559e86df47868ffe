# idea: a dataclass with a field that has a factory
# task: count_letters
from dataclasses import asdict, dataclass, field


@dataclass
class Tally:
    counts: dict = field(default_factory=dict)

    def take(self, mark):
        self.counts[mark] = self.counts.setdefault(mark, 0) + 1
        return self


def solve(text):
    tally = Tally()
    for mark in text.lower():
        if mark.isalpha():
            tally.take(mark)
    return asdict(tally)["counts"]

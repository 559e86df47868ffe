# idea: generics, protocols and annotations everywhere
# task: repeated_words
from __future__ import annotations

import typing
from collections.abc import Hashable, Iterable

Item = typing.TypeVar("Item", bound=Hashable)


class Collects(typing.Protocol):
    def add(self, item: Item) -> None: ...


def twice(items: Iterable[Item], into: Collects) -> typing.Iterator[Item]:
    seen: set[Item] = set()
    for item in items:
        if item in seen:
            into.add(item)
            yield item
        seen.add(item)


def solve(words: list[str]) -> set[str]:
    found: set[str] = set()
    _: typing.Final = list(twice(words, found))
    return found

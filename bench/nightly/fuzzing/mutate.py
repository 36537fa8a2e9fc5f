"""Other values near a value: bytes by libFuzzer, numbers, text and JSON by what has broken readers before."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable, Iterator, Sequence
from typing import Any

__all__ = ["Mutation", "values_in"]

_EDGES: list[Any] = [
    *(None, True, False, 0, 1, -1, 2, 7, 1.5, -0.5, 1e308, 1e-320),
    *(2**31 - 1, 2**31, 2**32, 2**53, 2**63 - 1, 2**63, 2**64, 10**30, -(2**63)),
    *("", "a", "\ud800", "é", "../x", "/etc/passwd", "os.system", "None", "nan", "a/b", "\n", "x" * 300),
    *([], {}, [[]], [0], [None], [1, 1], [-1], {"": 0}, {"class": "Dense"}, {"$float": "nan"}, {"$float": "inf"}),
]


def values_in(value: Any) -> Iterator[Any]:
    """Every value inside a JSON value, and every key."""
    yield value
    if isinstance(value, dict):
        for key, item in value.items():
            yield key
            yield from values_in(item)
    elif isinstance(value, list):
        for item in value:
            yield from values_in(item)


class Mutation:
    """One step away from an input.

    Args:
        seed: of every choice.
        plain: libFuzzer's own mutator: bytes, at most so many, to bytes.
        words: values that have a meaning to the reader.
    """

    def __init__(self, seed: int, plain: Callable[[bytes, int], bytes], words: Sequence[Any]) -> None:
        self.random = random.Random(seed)
        self._plain, self._words = plain, words

    def chance(self, of_one: float) -> bool:
        """True so often."""
        return self.random.random() < of_one

    def of_bytes(self, data: bytes) -> bytes:
        """Libfuzzer's."""
        return bytes(self._plain(bytes(data) or b"\0", len(data) + 64))

    def of_text(self, text: str) -> str:
        """Another character, or a word that means something."""
        if self.chance(0.5):
            return str(self.word(str))
        return self.of_bytes(text.encode("utf-8", "replace")).decode("latin-1")

    def of_number(self, number: Any) -> Any:
        """One beside it, or an edge."""
        edges = [e for e in _EDGES if isinstance(e, (int, float)) and not isinstance(e, bool)]
        near = [number + 1, number - 1, -number, number * 2, number // 2, number * 1000]
        return self.random.choice([*near, *edges])

    def word(self, kind: type = object) -> Any:
        """A value that the seeds hold."""
        known = [w for w in self.random.sample(self._words, min(len(self._words), 20)) if isinstance(w, kind)]
        return copy.deepcopy(known[0]) if known else ("" if kind is str else None)

    def of_list(self, items: list[Any], change: Callable[[Any], Any]) -> list[Any]:
        """One item changed, left out, doubled, or put elsewhere."""
        items = list(items)
        if not items:
            return items
        at = self.random.randrange(len(items))
        what = self.random.random()
        if what < 0.75:
            items[at] = change(items[at])
        elif what < 0.84:
            del items[at]
        elif what < 0.92:
            items.insert(self.random.randrange(len(items) + 1), copy.deepcopy(items[at]))
        else:
            items.append(items.pop(at))
        return items

    def of_json(self, value: Any) -> Any:
        """The value with one place in it changed."""
        value = copy.deepcopy(value)
        places = list(_places(value))
        if not places:
            return self._other(value, [])
        holder, key = self.random.choice(places)
        what = self.random.random()
        if what < 0.7:
            holder[key] = self._other(holder[key], places)
        elif what < 0.8:
            del holder[key]
        elif isinstance(holder, list):
            holder.insert(key, copy.deepcopy(holder[key]) if self.chance(0.5) else self._other(holder[key], places))
        elif what < 0.9:
            holder[self.of_text(key)] = holder.pop(key)
        else:
            holder[str(self.word(str))] = self._other(holder[key], places)
        return value

    def _other(self, value: Any, places: list[tuple[Any, Any]]) -> Any:
        what = self.random.random()
        if what < 0.3:
            return copy.deepcopy(self.random.choice(_EDGES))
        if what < 0.5:
            return self.word()
        if what < 0.6 and places:
            holder, key = self.random.choice(places)
            return copy.deepcopy(holder[key])
        if what < 0.65:
            return [value]
        if isinstance(value, str):
            return self.of_text(value)
        if isinstance(value, (int, float)) and value == value and abs(value) < 1e300:
            return self.of_number(value)
        return copy.deepcopy(self.random.choice(_EDGES))

    def of_json_text(self, text: str) -> str:
        """JSON as text: mostly its value changed, at times its characters."""
        try:
            if self.chance(0.1):
                raise ValueError
            return json.dumps(self.of_json(json.loads(text)), separators=(",", ":"))
        except (ValueError, RecursionError):
            return self.of_bytes(text.encode("utf-8", "replace")).decode("latin-1")


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every (list or dict, index or key) inside a JSON value."""
    keys: Any = range(len(value)) if isinstance(value, list) else list(value) if isinstance(value, dict) else ()
    for key in keys:
        yield value, key
        yield from _places(value[key])

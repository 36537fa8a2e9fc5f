"""JSON that cannot surprise: strict on the way in, bounded in memory and depth, exact for every float.

JSON has no NaN and no infinity, but a training history may; they travel as ``{"$float": "nan"}``. Nothing
else is added to JSON. Tuples come back as lists.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from typing import Any

import numpy as np

from fastconv.saving.malformed import Malformed

MAX_DEPTH = 64
MAX_INT_BITS = 128  # the state of NumPy's PCG64 is two 128-bit ints
_MAX_NUMBER_CHARS = 400
_NON_FINITE = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}
_FLOAT_TAG = "$float"
_SURROGATE = re.compile(r"\\u[dD]")  # escaped: half of a character beyond 16 bits
_NOT_STRUCTURE = bytes(set(range(128)) - set(b'"[]{}:,'))


def dumps(value: Any, what: str) -> str:
    """Write ``value`` as compact ASCII JSON; ``what`` names it in messages.

    Raises:
        TypeError: for anything but None, bool, int, float, str, list, tuple, dict with str keys, and NumPy
        scalars.
        ValueError: for a nesting beyond ``MAX_DEPTH`` (a cycle, too), an int beyond 128 bits, or the key
        ``$float``.
    """
    return json.dumps(_plain(value, what, 0), separators=(",", ":"), allow_nan=False)


def _plain(value: Any, where: str, depth: int) -> Any:
    if depth > MAX_DEPTH:
        raise ValueError(
            f"[save] nesting must be at most {MAX_DEPTH} levels deep: got more at {where[:80]}. Flatten it."
        )
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, int):
        if value.bit_length() > MAX_INT_BITS:
            raise ValueError(
                f"[save] an int must fit {MAX_INT_BITS} bits: got {value.bit_length()} bits at {where}. "
                "Save it as text."
            )
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else {_FLOAT_TAG: repr(float(value))}
    if isinstance(value, list | tuple):
        return [_plain(item, f"{where}[{i}]", depth + 1) for i, item in enumerate(value)]
    if isinstance(value, dict):
        for key in value:
            if not isinstance(key, str):
                raise TypeError(f"[save] keys must be str: got {key!r} in {where}. Convert the key with str().")
        if _FLOAT_TAG in value:
            raise ValueError(f"[save] the key {_FLOAT_TAG!r} is reserved: got it in {where}. Rename the key.")
        return {key: _plain(item, f"{where}.{key}", depth + 1) for key, item in value.items()}
    raise TypeError(
        f"[save] {where} must be None, a bool, int, float, str, list or dict: got {type(value).__name__}. "
        "Arrays belong into `weights` or `slots`; functions and objects are never saved."
    )


def loads(text: str, what: str, max_bytes: int) -> Any:
    """Parse ``text``; ``what`` names it in messages.

    Refused: characters beyond ASCII (escapes are fine) and halves of such characters, duplicate keys, NaN and Infinity literals, numbers
    that overflow, ints beyond 128 bits, nesting beyond ``MAX_DEPTH``, and a text whose values could take more
    than ``max_bytes`` of memory. The last two are decided before anything is built.

    Raises:
        Malformed: naming ``what`` and the rule.
    """
    _check_size(text, what, max_bytes)
    try:
        value = _DECODER.decode(text)
    except json.JSONDecodeError as error:
        raise Malformed(f"{what} must be valid JSON: {error.msg} at character {error.pos}") from None
    except Malformed as error:
        raise Malformed(f"{what}: {error}") from None
    if _SURROGATE.search(text):
        _check_characters(value, what)
    return value


def _check_characters(value: Any, what: str) -> None:
    """Malformed for text that no terminal, log or file takes: escapes can say half of a character."""
    nodes: list[Any] = [value]
    while nodes:
        node = nodes.pop()
        if isinstance(node, dict):
            nodes += [*node, *node.values()]
        elif isinstance(node, list):
            nodes += node
        elif isinstance(node, str):
            try:
                node.encode()
            except UnicodeEncodeError as error:
                raise Malformed(
                    f"{what} must hold whole characters: got half of one, {node[error.start]!a}, in a text of {len(node)}"
                ) from None


def _check_size(text: str, what: str, max_bytes: int) -> None:
    if not text.isascii():
        raise Malformed(f"{what} must be ASCII (other characters escaped, as JSON allows)")
    # Outside strings a backslash is an error, so pairs and escaped quotes can go first; then every second
    # piece between quotes is structure. All of this runs at C speed, whatever the text.
    bare = text.encode("ascii").replace(b"\\\\", b"")
    wide = b"\\u" in bare
    bare = bare.replace(b'\\"', b"")
    bare = bare.translate(None, _NOT_STRUCTURE)  # a statement of its own frees the copy before
    # Upper estimates, measured on CPython 3.11 with the worst texts (many small objects, all keys different).
    # One escaped emoji turns a string from one byte per character to four.
    bytes_needed = 32 * bare.count(b'"') + 3 * len(text) * wide
    structure = b""
    if bytes_needed <= max_bytes:
        structure = b"".join(bare.split(b'"')[::2])
        brackets = structure.count(b"[") + structure.count(b"{")
        bytes_needed += 128 * structure.count(b":") + 48 * structure.count(b",") + 80 * brackets
    if bytes_needed > max_bytes:
        raise Malformed(
            f"{what} must not hold too many values (a config with too many layers, say): "
            f"expected at most {max_bytes} bytes of objects, got about {bytes_needed}"
        )
    depth = 0
    for bracket in structure.translate(None, b":,"):
        depth += 1 if bracket in b"[{" else -1
        if depth > MAX_DEPTH:
            raise Malformed(f"{what} must be nested at most {MAX_DEPTH} levels deep: got more")


def _object(pairs: list[tuple[str, Any]]) -> Any:
    result = dict(pairs)
    if len(result) != len(pairs):
        counts = Counter(key for key, _ in pairs)
        raise Malformed(f"keys must be unique: got {max(counts, key=counts.__getitem__)[:80]!r} twice")
    if _FLOAT_TAG in result:
        word = result[_FLOAT_TAG]
        if len(result) != 1 or not isinstance(word, str) or word not in _NON_FINITE:
            raise Malformed(f"{_FLOAT_TAG!r} must stand alone with one of {list(_NON_FINITE)}")
        return _NON_FINITE[word]
    return result


def _int(digits: str) -> int:
    # The length first: int() of a million digits takes seconds on Pythons without a limit of their own.
    if len(digits) > 40 or (number := int(digits)).bit_length() > MAX_INT_BITS:
        raise Malformed(f"an int must fit {MAX_INT_BITS} bits: got {digits[:40]}… of {len(digits)} characters")
    return number


def _float(digits: str) -> float:
    if len(digits) > _MAX_NUMBER_CHARS or not math.isfinite(number := float(digits)):
        raise Malformed(f"a number must be finite in float64: got {digits[:40]}")
    return number


def _constant(word: str) -> Any:
    raise Malformed(f"numbers must be finite: got the literal {word}")


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_int=_int, parse_float=_float, parse_constant=_constant)

"""What a refused call must look like: the right class, and a message that a user can act on."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

__all__ = ["TEMPLATE", "assert_refused"]

TEMPLATE = re.compile(r"\[[^]]+\] .+: expected .+, got .+\. .+[.?]$", re.DOTALL)
_OURS_ALONE = ("incompatible function arguments", "std::", ".cpp")  # what no user can make sense of
_PYTHONS_OWN = re.compile(r"unexpected keyword argument '\w+'|missing \d+ required")  # raised before any code of ours


def assert_refused(call: Callable[[], Any], error: type[BaseException], words: str, template: bool = True) -> None:
    """``call`` must raise exactly ``error`` with a message that matches ``words``.

    Args:
        call: takes no arguments.
        error: the exception's class, not a base of it.
        words: regular expression, searched in the message.
        template: whether the message must be ``[where] rule: expected …, got …. Way out.`` throughout; it always starts
            with ``[where]`` and never shows how the library is built.
    """
    try:
        result = call()
    except Exception as caught:
        message = str(caught)
        assert type(caught) is error, f"expected {error.__name__}, got {type(caught).__name__}: {message}"
    else:
        raise AssertionError(f"the call was not refused, it returned {type(result).__name__}")
    assert re.search(words, message, re.DOTALL), f"expected words {words!r}, got: {message}"
    if _PYTHONS_OWN.search(message):
        return
    assert re.match(r"\[[^]]+\] .", message), message
    assert not any(word in message for word in _OURS_ALONE), message
    assert not template or TEMPLATE.match(message), f"not by the template: {message}"

"""Long loops of the library tell how far they are, to whoever listens; nobody does unless a program asks to."""

import contextlib
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any

_show = None  # what listens
_inside = False  # a loop that is listened to


@contextlib.contextmanager
def by(show: Callable[[int, str], AbstractContextManager[Callable[[int], Any]]]) -> Generator[None, None, None]:
    """Until it ends, `show(total, what)` is entered around each loop, and yields a function of the number of finished items.

    A loop inside another one is silent.
    """
    global _show
    before, _show = _show, show
    try:
        yield
    finally:
        _show = before


def each(items: Sequence, what: str) -> Iterator:
    """Yields the items of a sequence; `what` they are in a word or two."""
    global _inside
    if _show is None or _inside:
        yield from items
        return
    with _show(len(items), what) as update:
        _inside = True
        try:
            for done, item in enumerate(items):
                update(done)
                yield item
            update(len(items))
        finally:
            _inside = False

"""Things by name: one mechanism for everything that a user's own module may add to (`tf_gtn.register`)."""

import re
from collections.abc import Callable
from typing import Any

from tf_gtn import errors

ALL: list["Registry"] = []
"""Every registry of the modules that are imported."""


class Registry(dict):
    """`{name: thing}`; whoever asks for an unknown name is told the nearest one.

    Attributes:
      kind: what its things are, in words, for errors.
    """

    def __init__(self, kind: str, reserved: tuple[str, ...] = ()) -> None:
        """`reserved`: names that nothing can be registered under."""
        super().__init__()
        self.kind, self._reserved = kind, reserved
        ALL.append(self)
        self._listeners = []
        self._origins = {}

    def __missing__(self, name: str) -> Any:
        raise errors.unknown(self.kind, name, self)

    def check(self, name: str) -> None:
        """Raises `UserError` with the nearest name unless there is a thing of that name."""
        if not isinstance(name, str) or name not in self:
            raise errors.unknown(self.kind, name, self)

    def register(self, name: str, made_by: Any = None) -> Callable[[Any], Any]:
        """Decorator: adds the thing under a name.

        The same function or class may come again, as when a notebook's cell is run twice; then the newer one stays.

        Args:
          name: letters, digits and underscores.
          made_by: the function or class that the thing is made by, where it is neither.

        Raises:
          UserError: the name is another thing's, or has other characters.
        """
        if callable(name):
            called = getattr(name, "__name__", "name")
            raise errors.UserError(f'a {self.kind} is registered under a name: write ("{called}") behind the decorator')
        if not isinstance(name, str) or not re.fullmatch(r"\w+", name):
            raise errors.UserError(f"the name of a {self.kind} is made of letters, digits and underscores; got {name!r}")
        if name in self._reserved:
            raise errors.UserError(f"the {self.kind} {name!r} is the package's own: take another name")

        def add(thing):
            origin = _origin(thing if made_by is None else made_by)
            if name in self and self._origins.get(name) != origin:
                where = ".".join(map(str, self._origins.get(name, ("?",))))
                raise errors.UserError(f"the {self.kind} {name!r} is there already ({where}): take another name")
            for listener in self._listeners:
                listener(name, thing)
            self[name], self._origins[name] = thing, origin
            return thing

        return add

    def listen(self, listener: Callable[[str, Any], None]) -> None:
        """Calls `listener(name, thing)` for all things that are registered, and from now on for each that is added."""
        for name, thing in self.items():
            listener(name, thing)
        self._listeners.append(listener)


def listing() -> str:
    """What can be named, a line for each kind of thing: `learner: conv2, conv5, mlp`."""
    names = {registry.kind: sorted({*registry, *registry._reserved}) for registry in ALL}
    return "\n".join(f"{kind}: {', '.join(names[kind]) or '(none)'}" for kind in sorted(names))


def _origin(thing):
    """Where a function or class is from; a lambda, or an object without a name, is the same as itself alone."""
    name = getattr(thing, "__qualname__", None)
    if name is None or name.endswith("<lambda>"):
        return type(thing).__module__, type(thing).__qualname__, id(thing)
    return thing.__module__, name

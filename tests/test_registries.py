"""Things by name: unknown ones, taken ones, and whoever wants to know of new ones."""

import functools

import pytest

from tf_gtn import errors, registries


def test_an_unknown_name_is_answered_by_the_nearest():
    known = registries.Registry("dish")
    known.register("soup")(print)
    assert known["soup"] is print and "soap" not in known
    for ask in (known.check, known.__getitem__):
        with pytest.raises(errors.UserError, match="unknown dish 'soap'; did you mean 'soup'"):
            ask("soap")


def test_a_name_is_taken_once_but_by_the_same_again():
    known = registries.Registry("dish")

    def make(times):
        @known.register("soup")
        def soup():
            return times

        return soup

    make(1)
    newer = make(2)
    assert known["soup"] is newer
    with pytest.raises(errors.UserError, match=r"the dish 'soup' is there already \(tests.*soup\): take another name"):
        known.register("soup")(len)
    assert known["soup"] is newer


@pytest.mark.parametrize("name", ["a/b", "a b", "", "a:b", None, "a.b"])
def test_a_name_that_can_not_be_one(name):
    with pytest.raises(errors.UserError, match="letters"):
        registries.Registry("dish").register(name)


def test_a_decorator_without_a_name():
    with pytest.raises(errors.UserError, match=r'a dish is registered under a name: write \("len"\) behind the decorator'):
        registries.Registry("dish").register(len)


def test_what_has_no_name_of_its_own_is_the_same_as_itself_alone():
    known, one = registries.Registry("dish", reserved=("stew",)), functools.partial(max, 1)
    known.register("soup")(one)
    known.register("soup")(one)
    for other in (functools.partial(max, 2), lambda: 3):
        with pytest.raises(errors.UserError, match="there already"):
            known.register("soup")(other)
    with pytest.raises(errors.UserError, match="the dish 'stew' is the package's own"):
        known.register("stew")


def test_a_thing_says_what_it_is_made_by():
    known = registries.Registry("dish")
    known.register("soup", len)(1)
    known.register("soup", len)(2)
    assert known["soup"] == 2
    with pytest.raises(errors.UserError, match=r"builtins\.len"):
        known.register("soup", max)(2)


def test_listeners_hear_of_all_that_is_there_and_comes():
    known, heard = registries.Registry("dish"), []
    known.register("soup")(print)
    known.listen(lambda name, thing: heard.append((name, thing)))
    known.register("cake")(len)
    assert heard == [("soup", print), ("cake", len)]

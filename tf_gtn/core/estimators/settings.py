"""Checks of estimators' settings, which name the estimator and the setting."""

import numbers

from tf_gtn import errors


def count(estimator, name, lowest=1):
    """Raises `UserError` unless the setting is an integer of at least `lowest`."""
    value = getattr(estimator, name)
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < lowest:
        raise errors.UserError(f"{type(estimator).__name__}.{name} must be an integer of at least {lowest}; got {value!r}")


def positive(estimator, name):
    """Raises `UserError` unless the setting is a finite number above 0."""
    value = getattr(estimator, name)
    if isinstance(value, bool) or not isinstance(value, numbers.Real) or not 0 < value < float("inf"):
        raise errors.UserError(f"{type(estimator).__name__}.{name} must be a number above 0; got {value!r}")

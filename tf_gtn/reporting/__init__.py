"""The results of a run: numbers, claims, figures, report."""

from tf_gtn.reporting import relations as _relations  # noqa: F401 - registers them

"""What a run found: numbers, claims, figures, report."""

from tf_gtn.run.findings import relations as _relations  # noqa: F401 - registers them

"""Analyses' settings by gin, `analyses.<name>`, those of a user's own among them."""

from tf_gtn.config import registrations
from tf_gtn.experiment import analyses


def _add_to_gin(name, analysis):
    if analysis.Settings is not None:
        analysis.settings = registrations.known(analysis.Settings, name, "analyses", again=name in analyses.REGISTRY)


analyses.REGISTRY.listen(_add_to_gin)

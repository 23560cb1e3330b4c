"""What an experiment does with its trained arms: a registry of analyses, one file each."""

from tf_gtn.run.teaching.analyses import architectures, crossed, endless, ensembles, held_out, presentations, realism
from tf_gtn.run.teaching.analyses.registry import REGISTRY, Analysis, Context, check, sizes

__all__ = [
    "REGISTRY",
    "Analysis",
    "Context",
    "architectures",
    "check",
    "crossed",
    "endless",
    "ensembles",
    "held_out",
    "presentations",
    "realism",
    "sizes",
]

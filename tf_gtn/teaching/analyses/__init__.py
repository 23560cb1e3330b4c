"""What an experiment does with its trained arms: a registry of analyses, one file each."""

from tf_gtn.experiment.analyses import REGISTRY, Analysis, check, sizes
from tf_gtn.teaching.analyses import architectures, crossed, endless, ensembles, held_out, presentations, realism, speed

__all__ = [
    "REGISTRY",
    "Analysis",
    "architectures",
    "check",
    "crossed",
    "endless",
    "ensembles",
    "held_out",
    "presentations",
    "realism",
    "sizes",
    "speed",
]

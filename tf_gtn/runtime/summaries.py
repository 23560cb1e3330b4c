"""What TensorBoard gets beside the numbers of metrics.jsonl: the configuration as text, and images at validations.

Images are drawn at validations alone, and are written nowhere else. A run that goes on makes its summaries anew: images of
before are gone, and it draws where it goes on.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from tf_gtn.runtime import callbacks


class Summaries(callbacks.Callback):
    """Writes them; equal trainings give equal images."""

    def __init__(self, configuration: str, images: Callable[[str, Any], Mapping[str, np.ndarray]]) -> None:
        """Writes nothing yet.

        Args:
          configuration: of the run.
          images: `(name, training) -> {what: [H, W, 1, 3 or 4]}`, uint8, or floats from 0 to 1.
        """
        self._configuration, self._images = configuration, images

    def begin(self, begun: callbacks.Begun) -> None:
        self._writer = begun.summaries
        with self._writer.as_default():
            lines = "".join(f"    {line}\n" for line in self._configuration.splitlines())  # of Markdown, as they stand
            tf.summary.text("configuration", lines, begun.step)
        if begun.step:
            for name, training in begun.trainings.items():
                self.validated(begun.step, name, training)

    def validated(self, step: int, name: str, training: Any) -> None:
        with self._writer.as_default():
            for what, image in self._images(name, training).items():
                tf.summary.image(f"{name}/{what}", image[None], step)
        self._writer.flush()

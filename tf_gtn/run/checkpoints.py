"""Checkpoints of a run: `<base_dir>/checkpoints/ckpt-<step>.{index,data-*}`, the newest three, and the file `checkpoint`."""

import os
import sys

import keras
import tensorflow as tf

from tf_gtn import errors


class Checkpoints:
    """Saves and restores named lists of variables together with the number of finished steps."""

    def __init__(self, base_dir, variables, keep=3):
        """Writes nothing yet.

        Args:
          base_dir: the run's folder.
          variables: `{name: [variables]}`, Keras' or TensorFlow's.
          keep: how many to keep.
        """
        self._step = tf.Variable(0, dtype=tf.int64)
        values = {name: [v.value if isinstance(v, keras.Variable) else v for v in group] for name, group in variables.items()}
        self._checkpoint = tf.train.Checkpoint(step=self._step, **values)
        self._manager = tf.train.CheckpointManager(self._checkpoint, os.path.join(base_dir, "checkpoints"), max_to_keep=keep)

    def save(self, step):
        """Saves under `step`, the number of finished steps."""
        self._step.assign(step)
        self._manager.save(checkpoint_number=step)

    def restore(self):
        """Restores the newest checkpoint that can be read; returns its step, 0 if there is none.

        An unreadable one is named on stderr, and the one before it is taken.

        Raises:
          UserError: there are checkpoints and none can be read.
        """
        paths = list(reversed(self._manager.checkpoints))
        for path in paths:
            try:
                self._checkpoint.restore(path).assert_consumed()
                return int(self._step)
            except Exception as error:  # a broken file can raise anything
                reason = (str(error).strip() or type(error).__name__).splitlines()[0][:150]
                print(f"the checkpoint {path} can't be read and is passed over ({reason})", file=sys.stderr)
        if paths:
            raise errors.UserError(
                f"none of the checkpoints in {os.path.dirname(paths[0])} can be read: remove the folder to start "
                "again from the first step"
            )
        return 0

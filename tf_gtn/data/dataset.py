"""`Split` and `Dataset`: labelled images in memory, and the scale that learners see them on."""

import dataclasses
import functools
import hashlib
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tf_gtn import errors
from tf_gtn.data import augmentation
from tf_gtn.data import normalization as scaling


@dataclasses.dataclass(frozen=True, eq=False)
class Split:
    """Labelled images: `images` uint8 `[N, H, W, C]`, in memory or a `np.memmap`, `labels` integers `[N]`, kept as int32.

    `levels` says what the images were where they come from: a pixel v was `levels[0] + levels[1] * v`.

    Raises:
      ValueError: another dtype or rank, or not one label per image.
    """

    images: np.ndarray
    labels: np.ndarray
    levels: tuple[float, float] = (0.0, 1.0)

    def __post_init__(self) -> None:
        if self.images.dtype != np.uint8 or self.images.ndim != 4:
            raise ValueError(f"images are uint8 [N, H, W, C]; got {self.images.dtype} {list(self.images.shape)}")
        if self.labels.dtype.kind in "iu":
            object.__setattr__(self, "labels", self.labels.astype(np.int32, copy=False))
        if self.labels.dtype != np.int32 or self.labels.shape != self.images.shape[:1]:
            raise ValueError(
                f"labels are integers [N], one per image; got {self.labels.dtype} {list(self.labels.shape)} "
                f"for {len(self.images)} images"
            )

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, indices: Sequence[int] | np.ndarray | slice) -> "Split":
        """The `Split` of the images at `indices`, in their order."""
        return dataclasses.replace(self, images=self.images[indices], labels=self.labels[indices])

    def as_given(self) -> np.ndarray:
        """The images `[N, H, W, C]` on the scale of their source: uint8, or float32 where `levels` says so."""
        offset, step = self.levels
        if (offset, step) == (0.0, 1.0):
            return self.images
        return (offset + step * self.images).astype(np.float32)


@dataclasses.dataclass(frozen=True, eq=False)
class Dataset:
    """A data set by its name, divided for good: learn from `train`, choose on `validation`, report on `test`.

    `mean` and `std` have one number per channel, on the raw scale of the images, over `train` alone; they are computed unless
    given. A constant channel has a `std` of 1, so that normalising it gives 0. `augment`, if there is one, is applied to
    training images where they are read in a graph: raw images [N, H, W, C], seed int32 [2] -> the same shape. `pixel_range`
    has the ends of the raw scale, black and white. Whoever needs another scale than the normalised one takes it from there.
    `zca` asks for ZCA whitening after that, of this strength (`normalization.Whitening.of`); learners then see whitened images.

    Raises:
      UserError: `zca` is not above 0, or `augment` is no function that keeps shape and type.
      ValueError: no training images, images of other shapes or scales between the splits, a label without a class, or a value
        outside `pixel_range`.
    """

    name: str
    train: Split
    validation: Split
    test: Split
    classes: tuple[str, ...]
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    augment: Callable[[tf.Tensor, tf.Tensor], tf.Tensor] | None = None
    pixel_range: tuple[int, int] = (0, 255)
    zca: float | None = None

    def __post_init__(self) -> None:
        if not len(self.train):
            raise ValueError(f"data set {self.name!r} has no training images")
        for part in (self.train, self.validation, self.test):
            if part.levels != self.train.levels:
                raise ValueError(f"data set {self.name!r} mixes scales {self.train.levels} and {part.levels}")
            if part.images.shape[1:] != self.image_shape:
                shapes = f"{list(self.image_shape)} and {list(part.images.shape[1:])}"
                raise ValueError(f"data set {self.name!r} mixes images {shapes}")
            if len(part) and not 0 <= part.labels.min() <= part.labels.max() < self.num_classes:
                raise ValueError(
                    f"data set {self.name!r} has labels from {part.labels.min()} to {part.labels.max()} "
                    f"for {self.num_classes} classes"
                )
            low, high = self.pixel_range
            darkest, brightest = (part.images.min(), part.images.max()) if len(part) else self.pixel_range
            if not low <= darkest <= brightest <= high:
                raise ValueError(f"data set {self.name!r} has pixels from {darkest} to {brightest}, outside {low} to {high}")
        if self.zca is not None and not self.zca > 0:
            raise errors.UserError(f"data set {self.name!r}: zca is a number above 0, or None; got {self.zca!r}")
        if self.augment is not None:
            augmentation.check(self.augment, "data.load.augment", tf.zeros([2, *self.image_shape], tf.uint8))
        if self.mean is None or self.std is None:
            mean, std = _moments(self.train.images)
            object.__setattr__(self, "mean", mean if self.mean is None else self.mean)
            object.__setattr__(self, "std", std if self.std is None else self.std)

    @property
    def image_shape(self) -> tuple[int, ...]:
        """`(H, W, C)`."""
        return self.train.images.shape[1:]

    @property
    def num_classes(self) -> int:
        return len(self.classes)

    @property
    def normalization(self) -> dict[str, list[float]]:
        """`{"mean": [...], "std": [...]}`, one float per channel, on the scale of the images' source (`Split.as_given`)."""
        offset, step = self.train.levels
        assert self.mean is not None and self.std is not None  # `__post_init__` computes them
        return {"mean": [offset + step * mean for mean in self.mean], "std": [step * std for std in self.std]}

    @property
    def given_range(self) -> tuple[float, float]:
        """`pixel_range` on the scale of the images' source."""
        offset, step = self.train.levels
        black, white = self.pixel_range
        return offset + step * black, offset + step * white

    @functools.cached_property
    def whitening(self) -> scaling.Whitening | None:
        """Of the training images, if `zca` asks for it. 3,072 numbers an image take half a minute."""
        if self.zca is None:
            return None
        assert self.mean is not None and self.std is not None  # `__post_init__` computes them
        return scaling.Whitening.of(self.train.images, self.mean, self.std, self.zca)

    def in_full_range(self) -> "Dataset":
        """The same images from 0 to 255, so that they go with those of other data sets."""
        low, high = self.pixel_range
        if (low, high) == (0, 255):
            return self

        def stretched(split):
            images = np.rint((split.images - np.float32(low)) * np.float32(255 / (high - low)))
            return dataclasses.replace(split, images=images.astype(np.uint8))

        splits = {part: stretched(getattr(self, part)) for part in ("train", "validation", "test")}
        return dataclasses.replace(self, **splits, mean=None, std=None, pixel_range=(0, 255))

    @functools.cached_property
    def fingerprint(self) -> str:
        """32 hexadecimal digits of the content: images, labels, classes and split, whatever the files are called.

        The last 16 are those of the test split alone (`same_test`).
        """
        names = self.classes if self.train.levels == (0.0, 1.0) else (*self.classes, self.train.levels)
        return fingerprint(names, self.train, self.validation)[:16] + fingerprint(names, self.test)[:16]

    def same_test(self, other_fingerprint: str) -> bool:
        """Whether a data set of that fingerprint has the same test split."""
        return self.fingerprint[16:] == other_fingerprint[16:]

    def normalize(self, images: np.ndarray | tf.Tensor) -> tf.Tensor:
        """Images as splits hold them, array or tensor `[N, H, W]` (one channel) or `[N, H, W, C]` -> float32 `[N, H, W, C]`.

        Over `train` each channel of the result has mean 0 and variance 1. With `zca` pixels are nearly uncorrelated, and have
        variance 1 on average. Works in `tf.function`, with N unknown.

        Raises:
          ValueError: images of another shape than the data set's.
        """
        height, width, channels = self.image_shape
        images = tf.convert_to_tensor(images)
        expected = tf.TensorShape([None, height, width, channels])
        grey = channels == 1 and images.shape.rank == 3 and images.shape.is_compatible_with(expected[:3])
        if not grey and not images.shape.is_compatible_with(expected):
            raise ValueError(f"data set {self.name!r} has images [N, {height}, {width}, {channels}]; got {images.shape}")
        assert self.mean is not None and self.std is not None  # `__post_init__` computes them
        normalized = scaling.normalize(images, self.mean, self.std)
        return normalized if self.whitening is None else self.whitening(normalized)

    def denormalize(self, images: tf.Tensor) -> tf.Tensor:
        """Float32 images `[N, H, W, C]` on the scale of the splits: what `normalize` makes these of."""
        images = images if self.whitening is None else self.whitening.undo(images)
        return images * tf.constant(self.std, tf.float32) + tf.constant(self.mean, tf.float32)


def fingerprint(names: Iterable[Any], *parts: Split | np.ndarray) -> str:
    """32 hexadecimal digits of texts, and of the bytes of arrays or `Split`s, in their order."""
    arrays = [array for part in parts for array in ((part.images, part.labels) if isinstance(part, Split) else (part,))]
    digest = hashlib.blake2b(repr([str(name) for name in names]).encode(), digest_size=16)
    for array in arrays:
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def _moments(images):
    """Mean and standard deviation per channel of uint8 images, exactly: from how often each of the 256 values occurs."""
    values = np.arange(256)
    mean, std = [], []
    for channel in range(images.shape[-1]):
        # In parts, because bincount makes int64 of its input.
        parts = (images[start : start + 4096, ..., channel] for start in range(0, len(images), 4096))
        counts = np.sum([np.bincount(part.ravel(), minlength=256) for part in parts], 0)
        average = float(counts @ values / counts.sum())
        deviation = float(np.sqrt(counts @ (values - average) ** 2 / counts.sum()))
        mean.append(average)
        std.append(deviation or 1.0)
    return tuple(mean), tuple(std)

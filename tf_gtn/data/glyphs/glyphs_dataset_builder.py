"""The builder of `glyphs`; importing this module registers it, so that `tfds.load("glyphs/alphabets")` finds it.

DATA_DIR/glyphs/{digits,alphabets}/1.0.0/
    dataset_info.json, features.json, *.labels.txt
    glyphs-{train,test}.tfrecord-*
"""

import dataclasses
import unicodedata

import numpy as np
import tensorflow_datasets as tfds

from . import characters, rendering

_STREAMS = {"train": 0, "test": 1}
_FACES = (
    *("DejaVuSans", "DejaVuSans-Bold", "DejaVuSans-Oblique", "DejaVuSans-BoldOblique"),
    *("DejaVuSansMono", "DejaVuSansMono-Bold", "DejaVuSansMono-Oblique", "DejaVuSansMono-BoldOblique"),
    *("DejaVuSerif", "DejaVuSerif-Bold", "DejaVuSerif-Italic", "DejaVuSerif-BoldItalic"),
)


@dataclasses.dataclass(eq=False)
class Config(tfds.core.BuilderConfig):
    """The characters, faces and splits that are drawn.

    Attributes:
      name, description: TensorFlow Datasets' own.
      alphabets: `{name: characters}`; a label is a character, in this order.
      faces: names of the fonts' faces.
      samples: `{split: images of each character}`.
      grouped: each example says its alphabet, and the label's names are Unicode's instead of the characters.
      seed: of the distortions.
    """

    name: str
    description: str | None = None
    alphabets: dict[str, str] = dataclasses.field(default_factory=dict)
    faces: tuple[str, ...] = ("DejaVuSans",)
    samples: dict[str, int] = dataclasses.field(default_factory=dict)
    grouped: bool = False
    seed: int = 0

    @property
    def characters(self) -> str:
        return "".join(self.alphabets.values())


class Builder(tfds.core.GeneratorBasedBuilder):
    """Characters of many scripts as white ink on black, 28x28, each image distorted in its own way.

    `digits` is like MNIST: 6,000 training and 1,000 test images of each digit in 12 faces. The test images are none of
    the training images, but show the same faces.

    `alphabets` is like Omniglot: 20 images of each character, one face. It has only a `train` split, since what is held out
    (images, characters or whole alphabets) is for the task to say. `alphabet_char_id` counts a character within its alphabet.

    The pixels are a function of (seed, split, number of the image), whatever the number of processes.
    """

    VERSION = tfds.core.Version("1.0.0")
    BUILDER_CONFIGS = [
        Config(
            name="digits",
            description="The ten digits, like MNIST: 60,000 training and 10,000 test images.",
            alphabets={"digits": "0123456789"},
            faces=_FACES,
            samples={"train": 6000, "test": 1000},
        ),
        Config(
            name="alphabets",
            description="The characters of many alphabets, like Omniglot: 20 images of each.",
            alphabets=characters.alphabets(),
            samples={"train": 20},
            grouped=True,
        ),
    ]

    def _info(self):
        config = self.builder_config
        name = unicodedata.name if config.grouped else str
        features = {
            "image": tfds.features.Image(shape=(rendering.SIZE, rendering.SIZE, 1), encoding_format="png"),
            "label": tfds.features.ClassLabel(names=[name(character) for character in config.characters]),
        }
        if config.grouped:
            features["alphabet"] = tfds.features.ClassLabel(names=list(config.alphabets))
            features["alphabet_char_id"] = np.int64
        return tfds.core.DatasetInfo(
            builder=self,
            description="Characters of matplotlib's DejaVu fonts, 28x28, under random affine and elastic distortion.",
            features=tfds.features.FeaturesDict(features),
            supervised_keys=("image", "label"),
        )

    def _split_generators(self, dl_manager):
        del dl_manager  # nothing is downloaded
        return {split: self._generate_examples(split, count) for split, count in self.builder_config.samples.items()}

    def _generate_examples(self, split, samples):
        config = self.builder_config
        places = [
            {"alphabet": name, "alphabet_char_id": number}
            for name, members in config.alphabets.items()
            for number in range(len(members))
        ]
        count = samples * len(places)
        for first in range(0, count, 1000):
            images = rendering.render(
                config.characters, config.faces, first, min(1000, count - first), config.seed, _STREAMS[split]
            )
            for index, image in enumerate(images, first):
                label = index % len(places)
                yield index, {"image": image, "label": label, **(places[label] if config.grouped else {})}

"""Prepared TFDS data sets with the names and forms of real ones and a few random images, for run files that need them."""

from unittest import mock

import numpy as np
import tensorflow_datasets as tfds

from tf_gtn.data.glyphs import glyphs_dataset_builder

DIGITS = [str(digit) for digit in range(10)]
CIFAR10 = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
FORMS = {  # name: (version, image shape, classes)
    "mnist": ("3.0.1", (28, 28, 1), DIGITS),
    "fashion_mnist": ("3.0.1", (28, 28, 1), DIGITS),
    "cifar10": ("3.0.2", (32, 32, 3), CIFAR10),
}


def prepare(folder):
    """Writes under `folder`: all of `FORMS`, `glyphs`' digits, 60 training and 20 test images each, 6 of its characters."""
    for form in FORMS.items():
        _builder(*form)(data_dir=str(folder)).download_and_prepare()
    glyphs = glyphs_dataset_builder.Builder
    with mock.patch.dict(glyphs.BUILDER_CONFIGS[0].samples, {"train": 6, "test": 2}):
        glyphs(config="digits", data_dir=str(folder)).download_and_prepare()
    with mock.patch.dict(glyphs.BUILDER_CONFIGS[1].samples, {"train": 6}):
        glyphs(config="alphabets", data_dir=str(folder)).download_and_prepare()


def _builder(data_set, form):
    version, shape, classes = form

    class Mock(tfds.core.GeneratorBasedBuilder, skip_registration=True):
        """Random images."""

        VERSION = tfds.core.Version(version)
        code_path = None
        name = data_set

        def _info(self):
            features = {"image": tfds.features.Image(shape=shape), "label": tfds.features.ClassLabel(names=classes)}
            if data_set == "cifar10":  # as the real one
                features["id"] = tfds.features.Text()
            return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict(features))

        def _split_generators(self, dl_manager):
            return {"train": self._generate_examples(60), "test": self._generate_examples(20)}

        def _generate_examples(self, count):
            rng = np.random.default_rng(count)
            for index in range(count):
                example = {"image": rng.integers(0, 256, shape, dtype=np.uint8), "label": index % 10}
                yield index, example | ({"id": str(index)} if data_set == "cifar10" else {})

    return Mock

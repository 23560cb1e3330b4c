"""Whether an exported GTN goes with a data set, and the networks that it can teach: by name, or from a file."""

import importlib
from collections.abc import Sequence

import keras

from tf_gtn import errors
from tf_gtn.data import dataset
from tf_gtn.models import learners, saved
from tf_gtn.teaching import loading


def check_fits(exported: loading.LoadedGTN, for_dataset: dataset.Dataset) -> None:
    """Raises `UserError` unless a loaded export was made for images and classes like those of a data set."""
    of_export = tuple(exported.metadata["image_shape"]), len(exported.metadata["classes"])
    of_dataset = tuple(for_dataset.image_shape), for_dataset.num_classes
    if of_export != of_dataset:
        raise errors.UserError(
            f"the export is for {exported.metadata['dataset']} with images {list(of_export[0])} in {of_export[1]} "
            f"classes; {for_dataset.name} has {list(of_dataset[0])} in {of_dataset[1]}"
        )
    for label, (exported_class, dataset_class) in enumerate(zip(exported.metadata["classes"], for_dataset.classes)):
        if str(exported_class) != str(dataset_class):
            raise errors.UserError(
                f"the export is for the classes of {exported.metadata['dataset']}, whose number {label} is "
                f"{str(exported_class)!r}; that of {for_dataset.name} is {str(dataset_class)!r}"
            )
    of_export, of_dataset = exported.metadata.get("whitening"), for_dataset.zca
    if of_export != of_dataset:
        words = [
            "images that are not whitened" if zca is None else f"whitened images (zca = {zca:g})"
            for zca in (of_export, of_dataset)
        ]
        raise errors.UserError(
            f"the export teaches networks that see {words[0]}, and {for_dataset.name} was loaded with {words[1]}: load it with "
            f"data.load.zca = {of_export}, or from Python tf_gtn.data.of(data, zca={of_export})"
        )
    learned = exported.metadata.get("dataset_fingerprint")
    if learned and of_export is not None and learned[:16] != for_dataset.fingerprint[:16]:
        errors.warn(
            f"{for_dataset.name} is whitened by other training images than those of the export "
            f"({exported.metadata['dataset']}): its networks see other images than the lesson is for"
        )
    if learned and not for_dataset.same_test(learned):
        errors.warn(
            f"{for_dataset.name} holds other test images than the data that the export was trained on "
            f"({exported.metadata['dataset']}): some of them may be among its training images"
        )


def load_model(name: str, exported: loading.LoadedGTN, modules: Sequence[str] = ()) -> keras.Model:
    """A saved .keras file, or a fresh network of a registered architecture that fits the export.

    `modules` are imported first: they register learners, or what the file holds beside Keras' own layers.
    """
    for module in modules:
        try:
            importlib.import_module(module)
        except ImportError as error:
            raise errors.UserError(f"--custom_objects={module} can't be imported: {str(error).splitlines()[0]}") from None
    if name in learners.REGISTRY:
        family = learners.family(name, exported.metadata["image_shape"], len(exported.metadata["classes"]))
        return family.build(tuple(high for _, high in family.ranges))
    if not name.endswith(".keras"):
        raise errors.unknown("model (a .keras file or a name)", name, learners.REGISTRY)
    return saved.load(name)

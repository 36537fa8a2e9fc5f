"""CIFAR-100: 60,000 colour photographs, 32x32, 100 classes (Krizhevsky 2009; research use, cite it)."""

from __future__ import annotations

from typing import Any

from ._cifar import CifarSet, Pair

__all__ = ["class_names", "coarse_class_names", "load_data"]

_FINE = """
    apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly camel can
    castle caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur dolphin
    elephant flatfish forest fox girl hamster house kangaroo keyboard lamp lawn_mower leopard lion lizard
    lobster man maple_tree motorcycle mountain mouse mushroom oak_tree orange orchid otter palm_tree pear
    pickup_truck pine_tree plain plate poppy porcupine possum rabbit raccoon ray road rocket rose sea seal
    shark shrew skunk skyscraper snail snake spider squirrel streetcar sunflower sweet_pepper table tank
    telephone television tiger tractor train trout tulip turtle wardrobe whale willow_tree wolf woman worm
"""

_COARSE = """
    aquatic_mammals fish flowers food_containers fruit_and_vegetables household_electrical_devices
    household_furniture insects large_carnivores large_man-made_outdoor_things large_natural_outdoor_scenes
    large_omnivores_and_herbivores medium_mammals non-insect_invertebrates people reptiles small_mammals trees
    vehicles_1 vehicles_2
"""

class_names = tuple(_FINE.split())
coarse_class_names = tuple(_COARSE.split())

_SET = CifarSet(
    name="cifar100",
    records=(50_000, 10_000),
    binary=("train.bin", "test.bin"),
    pickled=("train", "test"),
    labels=("coarse_labels", "fine_labels"),
    classes=(20, 100),
    archives=("cifar-100-python.tar.gz", "cifar-100-binary.tar.gz"),
    archive="cifar-100-python.tar.gz",
    sha256="85cd44d02ba6437773c5bbd22e183051d648de2e7d6b014e1ef29b855ba677a7",
    mirrors=("https://www.cs.toronto.edu/~kriz",),
    aliases=("cifar-100-binary", "cifar-100-python"),
)


def load_data(label_mode: str = "fine", path: Any = None) -> tuple[Pair, Pair]:
    """Load CIFAR-100: ``(x_train, y_train), (x_test, y_test)``.

    Looks for the binary (``train.bin``, ``test.bin``) or Python files (``train``, ``test``), or the archive
    of either, in the places where :func:`fastconv.datasets.cifar10.load_data` looks (with cifar100 as the
    folder's name), then downloads the Python archive, checked by SHA-256. Local files are checked for
    structure only.

    Args:
        label_mode: "fine" for the 100 classes (``class_names``), "coarse" for the 20
            (``coarse_class_names``).
        path: a folder with the files or an archive, or the archive itself; nothing else is then searched.

    Returns:
        x_train (50000,32,32,3), y_train (50000,1), x_test (10000,32,32,3), y_test (10000,1), all uint8.

    Raises:
        ValueError: another ``label_mode``.
        DatasetError: files missing (says which to put where) or malformed.
    """
    if label_mode not in ("fine", "coarse"):
        raise ValueError(
            f"[cifar100.load_data] label_mode must be 'fine' or 'coarse': got label_mode={label_mode!r}. Use 'fine'."
        )
    column = slice(1, 2) if label_mode == "fine" else slice(0, 1)
    (x_train, train), (x_test, test) = _SET.load(path)
    return (x_train, train[:, column].copy()), (x_test, test[:, column].copy())

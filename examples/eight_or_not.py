"""Is it an 8? Two folders of PNG files, a small CNN, and what it says of pictures that it has not seen."""

import tempfile
from pathlib import Path

from _example import percent, run
from PIL import Image

from fastconv import datasets, layers, models, random, utils


def write(folder, x, y):
    """FOLDER/eight/*.png and FOLDER/not_eight/*.png, 8 x 8, grey."""
    for name in ("eight", "not_eight"):
        (folder / name).mkdir(parents=True)
    for i, (image, label) in enumerate(zip(x, y, strict=True)):
        Image.fromarray(image * 15).save(folder / ("eight" if label == 8 else "not_eight") / f"{i:04}.png")


def read(folder, **how):
    return utils.image_dataset_from_directory(
        folder, label_mode="binary", color_mode="grayscale", image_size=(8, 8), **how
    )


def main(epochs=15, seed=0):
    random.seed(seed)
    train, test = datasets.digits.load_data()
    model = models.Sequential(
        [
            layers.Input((8, 8, 1)),
            layers.Rescaling(1 / 255),
            layers.Conv2D(32, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(32, 3, padding="same", activation="relu"),
            layers.Flatten(),
            layers.Dense(1, activation="sigmoid"),
        ]
    )
    model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
    with tempfile.TemporaryDirectory() as place:
        for name, part in (("train", train), ("test", test)):
            write(Path(place, name), *part)
        model.fit(read(Path(place, "train"), seed=seed), epochs=epochs, verbose=0)
        _, accuracy = model.evaluate(read(Path(place, "test"), shuffle=False), verbose=0)
    return {"test_accuracy": percent(accuracy), "always_not_eight": percent((test[1] != 8).mean())}


if __name__ == "__main__":
    run(main)

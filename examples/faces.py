"""Happy and sad faces from a folder of pictures: drawn, written as PNG files, read back, learned, and one file classified."""

import tempfile
from pathlib import Path

import numpy as np
from _example import percent, run
from PIL import Image, ImageDraw

from fastconv import layers, models, random, utils

CLASSES = ("happy", "sad")


def draw(kind, rng, side=32):
    """One face: somewhere, of some size, in some colours, a little noisy."""
    ground, skin, ink = (tuple(int(v) for v in rng.integers(*range_, 3)) for range_ in ((0, 90), (130, 256), (0, 80)))
    image = Image.new("RGB", (side, side), ground)
    pen = ImageDraw.Draw(image)
    r = rng.integers(9, 14)
    x, y = rng.integers(r, side - r, 2)
    pen.ellipse((x - r, y - r, x + r, y + r), fill=skin)
    for eye in (x - r // 2, x + r // 2):
        pen.ellipse((eye - 1, y - r // 2 - 1, eye + 1, y - r // 2 + 1), fill=ink)
    if kind == "happy":
        pen.arc((x - r // 2, y - r // 4, x + r // 2, y + r // 2 + 1), 10, 170, fill=ink, width=2)
    else:
        pen.arc((x - r // 2, y + r // 5, x + r // 2, y + r), 190, 350, fill=ink, width=2)
    noisy = np.asarray(image) + rng.normal(0, 12, (side, side, 3))
    return Image.fromarray(noisy.clip(0, 255).astype(np.uint8))


def write(folder, each, seed=0):
    """``each`` PNG files in FOLDER/happy, as many in FOLDER/sad."""
    rng = np.random.default_rng(seed)
    for kind in CLASSES:
        (folder / kind).mkdir(parents=True)
        for i in range(each):
            draw(kind, rng).save(folder / kind / f"{i:04}.png")


def network():
    return models.Sequential(
        [
            layers.Input((32, 32, 3)),
            layers.Rescaling(1 / 127.5, offset=-1),
            layers.Conv2D(16, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(32, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dense(32, activation="relu"),
            layers.Dense(1, activation="sigmoid"),
        ]
    )


def main(each=400, epochs=12, seed=0):
    random.seed(seed)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "faces"
        write(folder, each, seed)
        parts = {
            subset: utils.image_dataset_from_directory(
                folder, label_mode="binary", image_size=(32, 32), seed=1, validation_split=0.25, subset=subset
            )
            for subset in ("training", "validation")
        }
        model = network()
        model.compile("adam", "binary_crossentropy", metrics=["accuracy", "Precision", "Recall", "AUC"])
        model.fit(parts["training"], epochs=epochs, verbose=0)
        scores = model.evaluate(parts["validation"], verbose=0, return_dict=True)
        one = np.asarray(utils.load_img(folder / "sad" / "0000.png"))
        said = utils.prediction_text(model.predict(one[None], verbose=0)[0], top=1, class_names=CLASSES)
    return {
        "accuracy": percent(scores["accuracy"]),
        "precision": percent(scores["Precision"]),
        "recall": percent(scores["Recall"]),
        "auc": round(scores["AUC"], 4),
        "a_sad_face_is": said,
    }


if __name__ == "__main__":
    run(main)

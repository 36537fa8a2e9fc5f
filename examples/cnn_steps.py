"""The steps of a convolutional network, one by one, with the shape that each leaves: from the image to the vote."""

from _example import percent, run

from fastconv import datasets, layers, models, random

STEPS = [
    ("choose filters, stride and padding", lambda: layers.Conv2D(32, 3, strides=1, padding="same")),
    ("apply ReLU", lambda: layers.ReLU()),
    ("pool", lambda: layers.MaxPooling2D(2)),
    ("add convolutional layers until satisfied", lambda: layers.Conv2D(64, 3, activation="relu")),
    ("flatten", lambda: layers.Flatten()),
    ("connect fully", lambda: layers.Dense(64, activation="relu")),
    ("classify: ten probabilities", lambda: layers.Dense(10, activation="softmax")),
]


def main(epochs=6, seed=0):
    random.seed(seed)
    (x, y), (x_test, y_test) = datasets.digits.load_data()
    model = models.Sequential([layers.Input((8, 8, 1)), layers.Rescaling(1 / 16)])
    shapes = {"give the image": [8, 8, 1]}
    for step, layer in STEPS:
        model.add(layer())
        shapes[step] = list(model.outputs[0].shape[1:])
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(x[..., None], y, epochs=epochs, verbose=0)
    _, accuracy = model.evaluate(x_test[..., None], y_test, verbose=0)
    return {"shapes": shapes, "test_accuracy": percent(accuracy)}


if __name__ == "__main__":
    run(main)

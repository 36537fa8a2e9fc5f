"""Handwritten digits, 8 x 8, which ship inside the package: a dense network and a convolutional one."""

from _example import percent, run

from fastconv import datasets, layers, models, random

NETWORKS = {
    "dense": lambda: [layers.Flatten(), layers.Dense(64, activation="relu")],
    "convolutional": lambda: [
        layers.Reshape((8, 8, 1)),
        layers.Conv2D(32, 3, padding="same", activation="relu"),
        layers.MaxPooling2D(),
        layers.Conv2D(64, 3, padding="same", activation="relu"),
        layers.Flatten(),
        layers.Dropout(0.25),
    ],
}


def main(epochs=20, network="all", seed=0):
    (x, y), (x_test, y_test) = datasets.digits.load_data()
    results = {}
    for name, body in NETWORKS.items():
        if network not in ("all", name):
            continue
        random.seed(seed)
        model = models.Sequential(
            [layers.Input((8, 8)), layers.Rescaling(1 / 16), *body(), layers.Dense(10, activation="softmax")]
        )
        model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
        model.fit(x, y, epochs=epochs, verbose=0)
        results[name] = percent(model.evaluate(x_test, y_test, verbose=0)[1])
    return results


if __name__ == "__main__":
    run(main)

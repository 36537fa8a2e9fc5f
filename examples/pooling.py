"""Which pooling? Maxima, averages, and LeNet's subsampling (averages with a factor and a bias that are learned), on the digits.
The comparison of D. Scherer, A. Müller, S. Behnke, "Evaluation of pooling operations in convolutional architectures", 2010, small."""

from _example import percent, run

from fastconv import datasets, layers, models, random

POOLINGS = {
    "max": lambda: [layers.MaxPooling2D()],
    "average": lambda: [layers.AveragePooling2D()],
    "subsampling": lambda: [layers.AveragePooling2D(), layers.DepthwiseConv2D(1, activation="tanh")],
    "stride": lambda: [layers.Conv2D(16, 3, strides=2, padding="same", activation="relu")],
}


def main(epochs=12, seed=0):
    (x, y), (x_test, y_test) = datasets.digits.load_data()
    results = {}
    for name, pooling in POOLINGS.items():
        random.seed(seed)
        model = models.Sequential(
            [
                layers.Input((8, 8, 1)),
                layers.Rescaling(1 / 16),
                layers.Conv2D(16, 3, padding="same", activation="relu"),
                *pooling(),
                layers.Flatten(),
                layers.Dense(10, activation="softmax"),
            ]
        )
        model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
        model.fit(x[..., None], y, epochs=epochs, verbose=0)
        _, accuracy = model.evaluate(x_test[..., None], y_test, verbose=0)
        results[name] = {"test_accuracy": percent(accuracy), "parameters": model.count_params()}
    return results


if __name__ == "__main__":
    run(main)

"""MNIST by two dense layers of 512 units: 669,706 parameters, over 98 % of the test digits. MNIST is looked for in FASTCONV_DATA
and downloaded otherwise."""

from _example import percent, run

from fastconv import datasets, layers, models, random


def main(samples=60000, epochs=10, seed=0):
    random.seed(seed)
    (x, y), (x_test, y_test) = datasets.mnist.load_data()
    model = models.Sequential(
        [
            layers.Input((28, 28)),
            layers.Rescaling(1 / 255),
            layers.Flatten(),
            layers.Dense(512, activation="relu"),
            layers.Dropout(0.2),
            layers.Dense(512, activation="relu"),
            layers.Dropout(0.2),
            layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    looks = {"validation_data": (x_test, y_test)}  # to be told, not to choose by: nothing is stopped or picked
    history = model.fit(x[:samples], y[:samples], batch_size=128, epochs=epochs, verbose=0, **looks).history
    return {
        "parameters": model.count_params(),
        "test_accuracy": percent(history["val_accuracy"][-1]),
        "test_accuracy_by_epoch": [percent(a) for a in history["val_accuracy"]],
        "accuracy_by_epoch": [percent(a) for a in history["accuracy"]],
    }


if __name__ == "__main__":
    run(main)

"""CIFAR-10 by a small convolutional network of the kind that tutorials build. The binary batches are looked for in FASTCONV_DATA
and downloaded otherwise; ``--samples`` takes fewer of them."""

from _example import percent, run

from fastconv import datasets, layers, models, random


def network():
    model = models.Sequential(
        [layers.Input((32, 32, 3)), layers.RandomFlip("horizontal"), layers.Rescaling(1 / 127.5, -1)]
    )
    for filters in (32, 64, 128):
        for _ in range(2):
            model.add(layers.Conv2D(filters, 3, padding="same", use_bias=False))
            model.add(layers.BatchNormalization())
            model.add(layers.ReLU())
        model.add(layers.MaxPooling2D())
        model.add(layers.Dropout(0.2))
    model.add(layers.Flatten())
    model.add(layers.Dense(10, activation="softmax"))
    return model


def main(samples=50000, epochs=10, seed=0):
    random.seed(seed)
    (x, y), (x_test, y_test) = datasets.cifar10.load_data()
    model = network()
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    history = model.fit(x[:samples], y[:samples], batch_size=64, epochs=epochs, verbose=0)
    _, accuracy = model.evaluate(x_test, y_test, verbose=0)
    return {
        "parameters": model.count_params(),
        "train_samples": min(samples, len(x)),
        "test_samples": len(x_test),
        "train_accuracy": percent(history.history["accuracy"][-1]),
        "test_accuracy": percent(accuracy),
    }


if __name__ == "__main__":
    run(main)

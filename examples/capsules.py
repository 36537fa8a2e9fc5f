"""Capsules on the digits: groups of neurons whose direction says how a part looks and whose length says whether it is there
(Sabour, Frosst, Hinton 2017, arXiv:1710.09829). A layer of one's own, of fastconv's operations; its gradients follow."""

from _example import percent, run

from fastconv import datasets, layers, models, ops, optimizers, random, utils


class Capsules(layers.Layer):
    """Every capsule below foretells every capsule here; those are heard that agree.

    Takes (N, parts, numbers), gives the length of each of ``count`` capsules of ``size`` numbers: (N, count).
    """

    def __init__(self, count, size, rounds=3, **keywords):
        super().__init__(**keywords)
        self.count, self.size, self.rounds = count, size, rounds

    def build(self, input_shape):
        parts, numbers = input_shape[1:]
        self.kernel = self.add_weight((1, 1, numbers, parts * self.count * self.size), "glorot_uniform", "kernel")
        self.ones = self.add_weight((2 * self.size,), "ones", "ones", trainable=False)
        self.zeros = self.add_weight((2 * self.size,), "zeros", "zeros", trainable=False)

    def call(self, inputs):
        samples, parts, numbers = inputs.shape
        count, size = self.count, self.size
        each = ops.reshape(inputs, (samples, 1, 1, parts * numbers))
        foretold = ops.conv2d(each, self.kernel, groups=parts)  # a matrix for every pair of capsules
        foretold = ops.reshape(foretold, (samples, parts, count * size, 1))
        trust = ops.scale(ops.sum_pool2d(foretold, (1, size)), 0.0)  # (N, parts, count, 1): all are heard alike
        for turn in range(self.rounds):
            share = ops.softmax(ops.reshape(trust, (samples, parts, count)))
            share = ops.upsample(ops.reshape(share, (samples, parts, count, 1)), (1, size))
            heard = ops.sum_pool2d(ops.multiply(share, foretold), (parts, 1))
            capsules, lengths = self.squash(ops.reshape(heard, (samples, count, size)))
            if turn + 1 < self.rounds:
                said = ops.upsample(ops.reshape(capsules, (samples, 1, count * size, 1)), (parts, 1))
                trust = ops.add(trust, ops.sum_pool2d(ops.multiply(said, foretold), (1, size)))
        return lengths

    def squash(self, s):
        """s / |s| · |s|² / (1 + |s|²), and the length of that. A vector beside its negative has mean 0: its norm is known."""
        samples, count, size = s.shape
        both = ops.concatenate([s, ops.scale(s, -1.0)])
        unit = ops.layer_norm(both, self.ones, self.zeros, epsilon=1e-7)
        unit = ops.scale(ops.crop(unit, ((0, 0), (0, 0), (0, size))), size**-0.5)
        squares = ops.sum_pool2d(ops.reshape(ops.multiply(s, s), (samples, count, size, 1)), (1, size))
        lengths = ops.softsign(squares)
        grown = ops.upsample(lengths, (1, size))
        return ops.multiply(unit, ops.reshape(grown, s.shape)), ops.reshape(lengths, (samples, count))


def network():
    return models.Sequential(
        [
            layers.Input((8, 8)),
            layers.Rescaling(1 / 16),
            layers.Reshape((8, 8, 1)),
            layers.Conv2D(32, 3, activation="relu"),
            layers.Conv2D(32, 3, strides=2),
            layers.Reshape((16, 8)),  # sixteen capsules of eight numbers
            Capsules(10, 8),
        ]
    )


def main(epochs=15, seed=0):
    random.seed(seed)
    (x, y), (x_test, y_test) = datasets.digits.load_data()
    model = network()
    model.compile(optimizers.Adam(0.003), "mean_squared_error", metrics=["accuracy"])
    model.fit(x, utils.to_categorical(y, 10), epochs=epochs, verbose=0)
    right = (model.predict(x_test, verbose=0).argmax(1) == y_test).mean()
    return {"parameters": model.count_params(), "test_accuracy": percent(right)}


if __name__ == "__main__":
    run(main)

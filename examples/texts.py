"""Text for a dense network: scikit-learn's TF-IDF makes vectors of sentences, a small network tells praise from blame."""

import numpy as np
from _example import percent, run
from sklearn.feature_extraction.text import TfidfVectorizer

from fastconv import layers, models, random

THINGS = ["camera", "phone", "film", "book", "hotel", "meal", "song", "lamp", "chair", "coat"]
WORDS = {
    1: ["good", "great", "lovely", "superb", "fine", "pleasant"],
    0: ["bad", "poor", "awful", "dull", "broken", "nasty"],
}


def sentences(count, seed):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, count)
    texts = [f"the {rng.choice(THINGS)} was {rng.choice(WORDS[int(k)])} and {rng.choice(WORDS[int(k)])}" for k in y]
    return texts, y


def main(count=200, epochs=15, seed=0):
    random.seed(seed)
    texts, y = sentences(count, seed)
    vectorizer = TfidfVectorizer()
    x = vectorizer.fit_transform(texts).toarray()
    model = models.Sequential([layers.Input((x.shape[1],)), layers.Dense(8, "relu"), layers.Dense(1, "sigmoid")])
    model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
    model.optimizer.learning_rate = 0.02
    model.fit(x, y, epochs=epochs, verbose=0)
    texts, y = sentences(100, seed + 1)
    _, accuracy = model.evaluate(vectorizer.transform(texts).toarray(), y, verbose=0)
    return {"test_accuracy": percent(accuracy), "words": x.shape[1]}


if __name__ == "__main__":
    run(main)

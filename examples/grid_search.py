"""Tunes a small CNN on the digits with scikit-learn: a pipeline, cross-validation, and a grid over its architecture.

    python examples/grid_search.py [--samples 600] [--epochs 8]

Every row of the table is the mean accuracy over three folds. Needs pip install 'fastconv[sklearn]'.
"""

from __future__ import annotations

import argparse

from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler

from fastconv import datasets, layers, models, optimizers
from fastconv.sklearn import FastconvClassifier


def cnn(X, y, filters=8, rate=0.01):
    """What a grid may vary are the function's arguments."""
    model = models.Sequential(
        [
            layers.Input(X.shape[1:]),
            layers.Reshape((8, 8, 1)),
            layers.Conv2D(filters, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dense(y.shape[1], activation="softmax"),
        ]
    )
    model.compile(optimizers.Adam(rate), "categorical_crossentropy")
    return model


def main(arguments: list[str] | None = None) -> float:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--samples", type=int, default=600)
    parser.add_argument("--epochs", type=int, default=8)
    options = parser.parse_args(arguments)
    (x, y), _ = datasets.digits.load_data()
    x, y = x[: options.samples].reshape(-1, 64), y[: options.samples]

    dense = FastconvClassifier(hidden_layer_sizes=(64,), learning_rate=0.01, epochs=options.epochs, random_state=0)
    scores = cross_val_score(make_pipeline(MinMaxScaler(), dense), x, y, cv=3)
    print(f"dense network    {scores.mean():.3f}")

    search = GridSearchCV(
        make_pipeline(MinMaxScaler(), FastconvClassifier(cnn, epochs=options.epochs, random_state=0)),
        {"fastconvclassifier__model_kwargs": [{"filters": f, "rate": r} for f in (4, 16) for r in (0.001, 0.01)]},
        cv=3,
    )
    search.fit(x, y)
    for settings, score in zip(search.cv_results_["params"], search.cv_results_["mean_test_score"], strict=True):
        print(f"{settings['fastconvclassifier__model_kwargs']}  {score:.3f}")
    print(f"best: {search.best_params_['fastconvclassifier__model_kwargs']}")
    return float(search.best_score_)


if __name__ == "__main__":
    main()

"""How well fastconv.explain predicts: every kernel call of some networks' steps, bench/results/cost_model.json.

python bench/cost_model.py        about ten seconds; prints the calls that are off by more than a factor of two
"""

from __future__ import annotations

import numpy as np

import environment
import fastconv
import networks

_NETWORKS = ("mnist-cnn", "cifar-cnn", "resnet-20")
_WORTH_A_LINE = 0.01  # of the step


def main() -> None:
    rows = []
    for name in _NETWORKS:
        model = networks.build(networks.NETWORKS[name])
        model.compile("adam", "sparse_categorical_crossentropy")
        for batch in (1, 64):
            found = fastconv.explain(model, batch)
            total = found.total
            print(f"\n{name}, batch {batch}: {total.measured * 1e3:.3f} ms, predicted {total.predicted * 1e3:.3f}")
            for row in found.rows:
                share = row.measured / total.measured
                rows.append(
                    {
                        "network": name,
                        "batch": batch,
                        "kernel": row.kernel,
                        "problem": row.problem,
                        "algorithm": row.algorithm,
                        "limit": row.limit,
                        "predicted_us": row.predicted * 1e6,
                        "measured_us": row.measured * 1e6,
                        "share_of_step": share,
                    }
                )
                if share > _WORTH_A_LINE and not 50 <= row.percent <= 200:
                    print(
                        f"  {row.kernel:<28} {row.problem:<52} {row.algorithm:<9} {row.limit:<10} "
                        f"{row.predicted * 1e6:8.1f} us predicted {row.measured * 1e6:8.1f} measured {100 * share:4.0f} %"
                    )
    worth = [r for r in rows if r["share_of_step"] > _WORTH_A_LINE]
    ratios = [r["predicted_us"] / r["measured_us"] for r in worth]
    within = sum(0.5 <= r <= 2 for r in ratios)
    print(
        f"\n{within} of {len(ratios)} calls within a factor of two; median of predicted / measured {np.median(ratios):.2f}"
    )
    print(environment.write("cost_model", {"rows": rows}))


if __name__ == "__main__":
    main()

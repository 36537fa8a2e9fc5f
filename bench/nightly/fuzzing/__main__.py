"""Fuzzes one reader for some seconds: the process that ``python bench/nightly readers`` starts, and starts again after a crash.

    python bench/nightly/fuzzing csv --seconds 60 --folder build/fuzzing/csv --scratch /tmp/empty

What is found lies in the first folder; the second, an empty one, has the file that is read.

libFuzzer (by way of atheris) keeps the inputs that reach a new branch of the library, and changes those. A fault that leaves
the process alive is written to faults.jsonl, its input beside it, and the search goes on.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import resource
import sys
import time
from pathlib import Path

import atheris

_LONGEST = 1 << 16  # bytes of an input
_HUNG = 300  # seconds by the clock, of a machine that may be busy; Watch counts those of the CPU
_ADDRESS_SPACE = 8 << 30
_EXTRA_MODULES = [
    "zipfile",
    "tarfile",
    "csv",
    "pickletools",
    "tomllib",
    "gzip",
    "PIL",
]  # part of the readers, in Python

with atheris.instrument_imports(include=["fastconv", *_EXTRA_MODULES]):
    import data_readers
    import model_readers

from mutate import Mutation  # noqa: E402  # after what is instrumented
from watch import Watch, kind_of  # noqa: E402  # the same


class Search:
    """One reader, its folder, and what was found in this process."""

    def __init__(self, name: str, folder: Path, scratch: Path) -> None:
        self.reader = {**model_readers.READERS, **data_readers.READERS}[name]
        self.folder = folder
        self.watch = Watch(self.reader, scratch)
        self.words = model_readers.WORDS() if name in model_readers.READERS else data_readers.WORDS
        self._told: set[str] = set()
        self._written = 0.0

    def one(self, data: bytes) -> None:
        """Libfuzzer's entry: never raises, so that the search goes on."""
        fault = self.watch(data)
        if fault is not None and kind_of(fault) not in self._told:
            self._told.add(kind_of(fault))
            name = f"fault-{hashlib.sha256(data).hexdigest()[:12]}"
            (self.folder / name).write_bytes(data)
            with open(self.folder / "faults.jsonl", "a", encoding="utf-8") as file:
                file.write(json.dumps({"fault": fault, "input": name}) + "\n")
        if time.monotonic() > self._written + 1:
            self._written = time.monotonic()
            self.write()

    def write(self) -> None:
        """What was seen so far, for the one who started this process."""
        (self.folder / "tally.json").write_text(json.dumps(vars(self.watch.tally)), "utf-8")

    def mutated(self, data: bytes, most: int, seed: int) -> bytes:
        """Libfuzzer's custom mutator."""
        other = self.reader.mutate(data, Mutation(seed, atheris.Mutate, self.words))
        return other if 0 < len(other) <= most else data


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("reader")
    parser.add_argument("--seconds", type=int, required=True)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--scratch", type=Path, required=True)
    arguments = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_AS, (_ADDRESS_SPACE, _ADDRESS_SPACE))
    corpus = arguments.folder / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    search = Search(arguments.reader, arguments.folder, arguments.scratch)
    seeds = search.reader.seeds()
    for i, seed in enumerate(seeds):
        (corpus / f"seed-{i}").write_bytes(seed)
    search.watch.begin(seeds)
    options = [
        f"-max_total_time={arguments.seconds}",
        f"-timeout={_HUNG}",
        "-rss_limit_mb=4096",
        f"-max_len={_LONGEST}",
    ]
    options += ["-print_final_stats=1", "-len_control=0", f"-artifact_prefix={arguments.folder}/"]
    atheris.Setup([sys.argv[0], *options, str(corpus)], search.one, custom_mutator=search.mutated)
    atheris.Fuzz()


if __name__ == "__main__":
    main()

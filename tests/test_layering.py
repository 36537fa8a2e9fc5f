"""Who may know whom (architecture.md, section 3): every import and #include is looked at, none is run."""

import ast
import re
import sys
from pathlib import Path

import pytest

import fastconv

PACKAGE = Path(fastconv.__file__).parent
SOURCES = Path(__file__).parent.parent / "csrc"

# Part of the package -> the parts it may import. What is not listed may import nothing of fastconv.
FOUNDATION = {"_locks", "errors", "graph", "_cpu"}
SETTINGS = {"_arguments", "_gpu", "_lookup", "_memory", "config", "random"}
MAY_IMPORT = {
    "_arguments": set(),
    "_locks": set(),
    "_lookup": {"_arguments"},
    "_memory": set(),
    "_gpu": {"errors"},
    "errors": set(),
    "graph": {"_locks"},
    "reference": set(),
    "dtype_policies": set(),
    "config": FOUNDATION | {"_arguments", "_gpu", "dtype_policies"},
    "random": {"_arguments", "_locks"},
    "ops": FOUNDATION | SETTINGS,
    "_mirror": {"_gpu", "_memory"},
    "variables": {"_locks", "_memory", "_mirror", "graph", "ops", "random"},
    "autodiff": {"graph", "ops"},
    "schedules": SETTINGS,
    "initializers": SETTINGS | FOUNDATION,
    "regularizers": SETTINGS | FOUNDATION | {"ops"},
    "constraints": SETTINGS | FOUNDATION,
    "layers": FOUNDATION
    | SETTINGS
    | {"dtype_policies", "ops", "variables", "initializers", "regularizers", "constraints"},
    "losses": FOUNDATION | SETTINGS | {"ops"},
    "metrics": FOUNDATION | SETTINGS | {"ops", "losses"},
    "optimizers": FOUNDATION | SETTINGS | {"ops", "schedules"},
    "plan": FOUNDATION | SETTINGS | {"_mirror", "ops", "autodiff", "variables"},
    "_html": set(),
    "_png": set(),
    "diagram": set(),
    "utils": FOUNDATION | SETTINGS | {"diagram"},
}
MAY_IMPORT["models"] = (
    FOUNDATION
    | SETTINGS
    | {
        *(
            "ops",
            "variables",
            "layers",
            "losses",
            "metrics",
            "optimizers",
            "autodiff",
            "plan",
            "utils",
            "_html",
            "diagram",
        ),
    }
)
MAY_IMPORT["callbacks"] = MAY_IMPORT["models"] | {"models", "schedules"}
MAY_IMPORT["saving"] = MAY_IMPORT["models"] | {"dtype_policies", "models", "schedules", "initializers"}
MAY_IMPORT["onnx"] = MAY_IMPORT["saving"] | {"saving", "reference"}  # resizing: do weights equal those of a layer?
MAY_IMPORT["callbacks"] |= {"saving"}  # a backup is a file
MAY_IMPORT["tuning"] = MAY_IMPORT["saving"] | {"saving"}
MAY_IMPORT["wrappers"] = MAY_IMPORT["saving"] | {"saving"}
MAY_IMPORT["sklearn"] = {"wrappers"}
MAY_IMPORT["models"] |= {"callbacks", "saving", "onnx"}  # inside functions: test_no_circles_at_import_time sees to that
MAY_IMPORT["activations"] = {"layers", "ops"}
MAY_IMPORT["datasets"] = FOUNDATION | SETTINGS | {"utils", "_html"}
MAY_IMPORT["filters"] = SETTINGS | {"ops", "utils"}
MAY_IMPORT["utils"] |= {"datasets"}  # inside a function: Keras has the readers of pictures in utils
MAY_IMPORT["zoo"] = {"layers", "models"}
MAY_IMPORT["attribution"] = FOUNDATION | SETTINGS
MAY_IMPORT["plots"] = FOUNDATION | SETTINGS | {"attribution", "ops", "utils", "metrics"}
MAY_IMPORT["report"] = MAY_IMPORT["models"] | {"models", "_html", "_png", "datasets", "diagram"}
MAY_IMPORT["testing"] = MAY_IMPORT["models"] | {"models", "reference", "schedules", "datasets"}
MAY_IMPORT["machine"] = FOUNDATION
MAY_IMPORT["explanation"] = MAY_IMPORT["models"] | {"models", "machine"}
EVERYTHING = set(MAY_IMPORT) | FOUNDATION
MAY_IMPORT["cli"] = EVERYTHING - {"testing", "reference"}
MAY_IMPORT["__main__"] = {"cli"}
MAY_IMPORT["__init__"] = {"errors", "config"}


def part_of(path):
    """The part of the package that a file belongs to: its folder, or its own name at the top."""
    relative = path.relative_to(PACKAGE)
    return relative.parts[0] if len(relative.parts) > 1 else relative.stem


def imports(path):
    """``(module, line, whether at the top of the file)`` of every import; names inside fastconv in full."""
    tree = ast.parse(path.read_text("utf-8"))
    package = ["fastconv", *path.relative_to(PACKAGE).parts[:-1]]
    top = {id(node) for node in tree.body}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node.lineno, id(node) in top
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            names = [f"{module}.{alias.name}" for alias in node.names] if module == "fastconv" else [module]
            for name in names:
                yield name, node.lineno, id(node) in top


FILES = sorted(PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=[str(f.relative_to(PACKAGE)) for f in FILES])
def test_a_file_imports_only_what_stands_to_its_left(path):
    part = part_of(path)
    for module, line, _ in imports(path):
        names = module.split(".")
        if names[0] != "fastconv" or len(names) == 1:
            continue
        assert names[1] == part or names[1] in MAY_IMPORT.get(part, ()), (
            f"{path}:{line}: {part} must not know {names[1]}"
        )


def test_no_circles_at_import_time():
    """What is imported at the top of files forms no circle; models, callbacks and saving meet inside functions."""
    edges = {}
    for path in FILES:
        for module, _, at_top in imports(path):
            names = module.split(".")
            if at_top and names[0] == "fastconv" and len(names) > 1 and names[1] != part_of(path):
                edges.setdefault(part_of(path), set()).add(names[1])
    edges.pop("__init__")
    edges["models"].discard("saving")  # models/__init__.py offers load_model; saving meets models inside functions
    done, path = set(), []

    def visit(part):
        assert part not in path, " -> ".join([*path, part])
        if part not in done:
            path.append(part)
            for other in sorted(edges.get(part, ())):
                visit(other)
            path.pop()
            done.add(part)

    for part in sorted(edges):
        visit(part)


OPTIONAL = {"matplotlib", "PIL", "tqdm", "cupy", "h5py", "ml_dtypes", "onnx", "pybind11"}
OUTSIDE = {"wrappers": "sklearn"}  # parts that are made for another package: their classes descend from its own


@pytest.mark.parametrize("path", FILES, ids=[str(f.relative_to(PACKAGE)) for f in FILES])
def test_numpy_is_the_only_dependency(path):
    """Optional packages are imported inside functions; the reference imports NumPy alone."""
    for module, line, at_top in imports(path):
        root = module.split(".")[0]
        if root in sys.stdlib_module_names or root in ("numpy", "fastconv"):
            continue
        if OUTSIDE.get(part_of(path)) == root:
            continue
        assert root in OPTIONAL and not at_top, f"{path}:{line}: {module}"
        assert part_of(path) != "reference"


def test_nothing_outside_the_tests_imports_testing():
    users = {part_of(path) for path in FILES for module, *_ in imports(path) if module.startswith("fastconv.testing")}
    assert users <= {"testing"}


needs_sources = pytest.mark.skipif(not SOURCES.is_dir(), reason="the C++ sources are not beside the tests")
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.MULTILINE)


def sources(folder):
    return sorted(p for p in (SOURCES / folder).rglob("*") if p.suffix in (".h", ".cpp", ".inc", ".cu", ".cuh"))


def includes(path):
    """``(is a file of ours, name)`` of each include."""
    return [(quote == '"', name) for quote, name in INCLUDE.findall(path.read_text("utf-8"))]


EMULATION = {"sys/mman.h", "sanitizer/", "ucontext.h"}


@needs_sources
@pytest.mark.parametrize(
    "folder,ours,others",
    [
        ("core", {"core"}, set()),
        (
            "cpu",
            {"core", "cpu"},
            {"immintrin.h", "pthread.h", "sched.h", "sys/resource.h", "cpuid.h", "unistd.h", "sys/syscall.h"},
        ),
        ("cpu/simd", {"cpu/simd"}, {"immintrin.h"}),
        ("cuda", {"core", "cuda"}, {"cuda_runtime.h", "cuda_fp16.h", "cuda_bf16.h", "cuda.h", *EMULATION}),
        (
            "cuda/device",
            {"core", "cuda/device", "cuda/emulation"},
            {"cuda_runtime.h", "cuda_fp16.h", "cuda_bf16.h", "cuda.h"},
        ),
        ("bind", {"core", "cpu", "cuda", "bind"}, {"pybind11/", "unistd.h"}),
    ],
)
def test_includes(folder, ours, others):
    """bind -> cpu, cuda -> core, and these two not each other; core knows the standard library alone, and only bind knows pybind11."""
    files = sources(folder)
    assert files
    for path in files:
        for own, name in includes(path):
            if own:
                assert any(name.startswith(f"{part}/") for part in ours), f"{path} includes {name}"
            else:
                standard = re.fullmatch(r"[a-z_0-9]+|(math|string|stdint|stdlib)\.h", name)
                assert standard or any(name.startswith(o) for o in others), f"{path} includes <{name}>"


@needs_sources
def test_bind_reaches_the_kernels_only_through_the_dispatcher():
    for path in sources("bind"):
        for own, name in includes(path):
            assert not (own and name.startswith(("cpu/kernels/", "cpu/simd/", "cuda/kernels/", "cuda/device/"))), (
                f"{path} includes {name}"
            )


@needs_sources
def test_one_file_starts_threads():
    users = {
        p.relative_to(SOURCES).as_posix()
        for p in sources("")
        if re.search(r"std::(j?thread\b(?!::)|async)|pthread_create|#\s*pragma\s+omp", p.read_text("utf-8"))
    }
    assert users == {"cpu/team.cpp"}


@needs_sources
def test_kernels_allocate_and_print_nothing():
    """A kernel works in the workspace it is given."""
    forbidden = re.compile(r"\b(new\s+\w|malloc\(|calloc\(|std::vector|std::cout|printf\()")
    for path in [*sources("cpu/kernels"), *sources("cuda/kernels"), *sources("cuda/device")]:
        code = re.sub(r"//[^\n]*", "", path.read_text("utf-8"))
        assert not forbidden.search(code), f"{path}: {forbidden.search(code).group()}"


@needs_sources
def test_every_kernel_stands_in_the_namespace_of_its_instruction_set():
    for path in [*sources("cpu/kernels"), *sources("cpu/simd"), SOURCES / "cpu/parallel.h"]:
        spaces = set(re.findall(r"^namespace ([\w:]+)", path.read_text("utf-8"), re.MULTILINE))
        assert spaces == {"fc::cpu::FC_ISA"}, f"{path}: {spaces}"

#!/usr/bin/env bash
# Everything that needs a GPU, in one go of less than 9 minutes: build, tests on the device, compute-sanitizer, MNIST,
# benches, the CIFAR-10 speed run.
# Usage: bench/gpu_check.sh [OUT]      OUT: folder for logs and JSON, $OUT or ./gpu_check by default
# Needs nvcc, cmake, a GPU, and Python with numpy, pybind11, cupy, pytest, hypothesis, ml_dtypes; for the benches also torch.
# FASTCONV_DATA: a folder with the data sets mnist and cifar10; by default ./gpu_data, which git ignores and which can be
# carried to a borrowed machine.
set -uo pipefail
cd "$(dirname "$0")/.."
out=${1:-${OUT:-gpu_check}}
mkdir -p "$out"
export PYTHONPATH="$PWD/python" PYTHONUNBUFFERED=1 FASTCONV_DATA=${FASTCONV_DATA:-$PWD/gpu_data}
failed=0
# step NAME SECONDS COMMAND...: runs it with a time limit and its output in NAME.log; the last lines are shown
step() {
  local name=$1 limit=$2 started=$SECONDS
  shift 2
  timeout "$limit" "$@" >"$out/$name.log" 2>&1
  local rc=$?
  printf '== %-12s rc %d, %d s\n' "$name" "$rc" $((SECONDS - started))
  tail -n 6 "$out/$name.log"
  [ $rc -eq 0 ] || failed=1
}
build() {
  cmake -S . -B build/gpu -DFASTCONV_CUDA=ON -DFASTCONV_WERROR=ON -DCMAKE_CUDA_ARCHITECTURES=90 \
    -Dpybind11_DIR="$(python3 -m pybind11 --cmakedir)" -DPython_EXECUTABLE="$(command -v python3)" &&
    cmake --build build/gpu --parallel "$(nproc)" && cp build/gpu/_cpu*.so build/gpu/_cuda*.so python/fastconv/
}
# Without CIFAR-10 as many drawn images: they take as long, and their accuracy says nothing.
speedrun() {
  python3 examples/cifar10_speedrun.py --device cuda --precision mixed_bfloat16 --warm-up --runs 3 --peer torch \
    --json "$1/speedrun.json" \
    $([ -d "$FASTCONV_DATA/cifar10" ] || echo --synthetic 50000)
}
export -f build speedrun

step machine 20 nvidia-smi
step build 150 bash -c build
step tests 90 python3 -m pytest tests/test_cuda*.py tests/test_augmentation.py -q -k "device" -p no:cacheprovider -W ignore
for tool in memcheck racecheck; do
  step "$tool" 50 compute-sanitizer --tool "$tool" --error-exitcode 9 \
    python3 -m pytest tests/test_cuda_emulated.py tests/test_cuda_hopper.py -q -x -p no:cacheprovider -W ignore \
    -k "device and (tail or 3x3 or c17 or stride) and not random and not half"
done
step mnist 30 python3 bench/accuracy.py --dataset mnist --device cuda --epochs 3 --seeds 1
step bench 100 python3 bench/gpu.py
step speedrun 60 bash -c 'speedrun "$1"' - "$out"
cp bench/results/gpu_*.json "$out/" 2>/dev/null
exit $failed

"""Settings of the process, from Python and from the environment."""

import os
import subprocess
import sys

import pytest

import fastconv


@pytest.mark.parametrize(
    "device,words", [("cuda", "CUDA module"), ("cuda:1", "CUDA module"), ("gpu", "cpu, cuda, cuda:N")]
)
def test_a_device_this_build_lacks_is_an_error_at_import(device, words):
    run = subprocess.run(
        [sys.executable, "-c", "import fastconv"],
        env={**os.environ, "FASTCONV_DEVICE": device},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert run.returncode != 0 and words in run.stderr


def test_show_config_says_what_runs():
    config = fastconv.show_config()
    assert config["isa"] in config["isa_available"]
    assert config["threads"] == fastconv.get_num_threads() >= 1
    assert config["cuda"] is None


def test_precision_and_policy_take_known_names_only():
    fastconv.set_precision("strict")
    assert fastconv.show_config()["precision"] == "strict"
    fastconv.set_precision("fast")
    with pytest.raises(ValueError, match="precision"):
        fastconv.set_precision("sloppy")
    with pytest.raises(fastconv.DeviceError, match="mixed_float16"):
        fastconv.set_dtype_policy("mixed_float16")


def test_waiting_threads_sleep_and_the_environment_is_left_alone():
    code = "import os; before = dict(os.environ); import fastconv; assert dict(os.environ) == before"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)

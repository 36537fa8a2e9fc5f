"""Without scikit-learn the wrappers say what to install, and nothing else minds."""

import subprocess
import sys

SCRIPT = """
import sys
sys.modules["sklearn"] = None
import fastconv
for name in ("wrappers", "sklearn"):
    try:
        getattr(fastconv, name)
    except ImportError as error:
        assert "pip install 'fastconv[sklearn]'" in str(error), error
    else:
        raise SystemExit(f"{name} was imported")
"""


def test_the_error_names_the_extra():
    subprocess.run([sys.executable, "-c", SCRIPT], check=True, timeout=60)

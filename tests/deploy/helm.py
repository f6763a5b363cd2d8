"""Helm, built once. `python3 helm.py` builds it ahead of the tests."""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from lib import golang  # noqa: E402
from lib.once import once, run  # noqa: E402

HELM = "3.22.0"


def program() -> Path:
    """Path of helm."""

    def build(folder):
        run([golang.command(), "install", "-trimpath", "-ldflags=-s -w", f"helm.sh/helm/v3/cmd/helm@v{HELM}"], folder,
            GOBIN=str(folder))

    return once(f"helm-{HELM}", ["helm"], build) / "helm"


if __name__ == "__main__":
    print("helm", program())

"""The programs of a Kubernetes node, built once. `python3 programs.py` builds them ahead of the tests."""
import shutil
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from lib import golang  # noqa: E402
from lib.once import digest, once, run  # noqa: E402

VERSION = "1.34.4"
OPERATOR = "github.com/prometheus-operator/prometheus-operator@v0.85.0"
OPENSHIFT = "github.com/openshift/api@v0.0.0-20230607130528-611114dca681"
PROGRAMS = ["kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kubectl"]


def kubernetes() -> Path:
    """Folder with the programs."""
    source = HERE / "kubernetes"
    major, minor, _ = VERSION.split(".")
    package = "k8s.io/component-base/version"
    flags = f"-s -w -X {package}.gitVersion=v{VERSION} -X {package}.gitMajor={major} -X {package}.gitMinor={minor}"

    def build(folder):
        for file in ("go.mod", "go.sum", "tools.go"):
            shutil.copy(source / file, folder / file)
        for program in PROGRAMS:
            run([golang.command(), "build", "-trimpath", f"-ldflags={flags}", "-o", program, f"k8s.io/kubernetes/cmd/{program}"],
                folder)

    return once(f"kubernetes-{VERSION}-{digest(source / 'go.mod')}", PROGRAMS, build)


def definitions() -> list:
    """Custom resources of others that the chart makes: files that define ServiceMonitor, PodMonitor, SecurityContextConstraints."""
    operator = golang.download(OPERATOR) / "example" / "prometheus-operator-crd"
    return [operator / "monitoring.coreos.com_servicemonitors.yaml", operator / "monitoring.coreos.com_podmonitors.yaml",
            golang.download(OPENSHIFT) / "security" / "v1" / "0000_03_security-openshift_01_scc.crd.yaml"]


if __name__ == "__main__":
    print("definitions", *definitions())
    print("kubernetes", kubernetes())

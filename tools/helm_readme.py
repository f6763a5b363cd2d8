"""Writes deploy/helm/pystrobe/README.md from the chart's values: each key, its default and the comment above it.

`--print` prints it instead.
"""
import json
import re
import sys
from pathlib import Path

import yaml

CHART = Path(__file__).resolve().parent.parent / "deploy/helm/pystrobe"

HEAD = """# pystrobe chart

One agent on every node, as a DaemonSet with `hostPID` and the capability `SYS_PTRACE` alone.

```sh
docker build -f deploy/docker/Dockerfile -t registry.example.com/pystrobe:0.1.0 . && docker push registry.example.com/pystrobe:0.1.0
kubectl create namespace profiling
kubectl label namespace profiling pod-security.kubernetes.io/enforce=privileged
helm install pystrobe deploy/helm/pystrobe --namespace profiling --set image.registry=registry.example.com \\
  --set 'exporters[0].type=pyroscope' --set 'exporters[0].url=http://pyroscope:4040'
```

Deviations from the Restricted Pod Security Standard: `hostPID`, `SYS_PTRACE`, uid 0, one `hostPath` for what is not
delivered yet (`spool.type: emptyDir` removes it). The agent reloads a changed configuration by itself.

## Annotations of pods

`pystrobe.io/enabled` (`"true"`, `"false"`), `pystrobe.io/service-name`, `pystrobe.io/hz` (1 to 1000), `pystrobe.io/modes`
(`cpu,wall,gil`); with `.CONTAINER` at the end for one container. `enabled: "false"` wins under every scheme. Where pods come
from the API server, which tells of changes, one that is set or changed while the pod runs takes effect at once; where
they come from the kubelet, when the next container starts on that node. `pystrobe ps --why PID` and `/debug/targets` say which of
them count and which could not be meant.

## Values

This table is made from `values.yaml` by `tools/helm_readme.py`.

| value | default | meaning |
|---|---|---|
"""


def comments(lines):
    """Path of a key -> the `# --` comment above it; indentation gives the path."""
    found, path, waiting = {}, [], []
    for line in lines:
        text = line.strip()
        if text.startswith("# --"):
            waiting = [text[4:].strip()]
        elif text.startswith("#") and waiting:
            waiting.append(text[1:].strip())
        elif match := re.match(r"( *)([A-Za-z]+):", line):
            del path[len(match[1]) // 2:]
            path.append(match[2])
            if waiting:
                found[".".join(path)] = " ".join(waiting)
            waiting = []
        else:
            waiting = []
    return found


def rows(values, notes, prefix=""):
    for key, value in values.items():
        path = f"{prefix}{key}"
        inside = [name for name in notes if name.startswith(path + ".")]
        if isinstance(value, dict) and value and (inside or path not in notes):
            if path in notes:
                yield f"| `{path}` | | {notes[path]} |"
            yield from rows(value, notes, path + ".")
        else:
            yield f"| `{path}` | `{json.dumps(value)}` | {notes.get(path, '')} |"


def readme():
    text = (CHART / "values.yaml").read_text(encoding="utf-8")
    return HEAD + "\n".join(rows(yaml.safe_load(text), comments(text.splitlines()))) + "\n"


if __name__ == "__main__":
    if "--print" in sys.argv:
        sys.stdout.write(readme())
    else:
        (CHART / "README.md").write_text(readme(), encoding="utf-8")

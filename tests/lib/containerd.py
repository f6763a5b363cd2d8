"""A containerd of the tests' own with pods that its CRI knows, in a mount namespace of its own."""
import hashlib
import io
import json
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

from lib.waiting import wait_exit, wait_until

PAUSE = "docker.io/pystrobe-test/pause:1"
CONFIG = """version = 2
root = "{folder}/root"
state = "{folder}/state"
[grpc]
  address = "{folder}/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{pause}"
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "native"
"""


def field(number, value) -> bytes:
    """One field of a protobuf message: text, bytes of a message, or a small number."""
    if isinstance(value, int):
        return bytes([number << 3, value])
    value = value.encode() if isinstance(value, str) else value
    size, length = len(value), b""
    while size > 127:
        length, size = length + bytes([size & 127 | 128]), size >> 7
    return bytes([number << 3 | 2]) + length + bytes([size]) + value


def entries(number, values) -> bytes:
    return b"".join(field(number, field(1, key) + field(2, value)) for key, value in values.items())


def _pause_archive(folder) -> Path:
    """An image of one file that waits, as docker would save it."""
    (folder / "pause.c").write_text("#include <unistd.h>\nint main(void) { for (;;) pause(); }\n", encoding="utf-8")
    subprocess.run(["gcc", "-static", "-o", folder / "pause", folder / "pause.c"], check=True)
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as tar:
        tar.add(folder / "pause", "pause")
    config = json.dumps({"architecture": "amd64", "os": "linux", "config": {"Entrypoint": ["/pause"]}, "rootfs": {
        "type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(layer.getvalue()).hexdigest()]}}).encode()
    manifest = json.dumps([{"Config": "config.json", "RepoTags": [PAUSE], "Layers": ["layer.tar"]}]).encode()
    with tarfile.open(folder / "pause.tar", "w") as tar:
        for name, data in (("config.json", config), ("layer.tar", layer.getvalue()), ("manifest.json", manifest)):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return folder / "pause.tar"


class Containerd:
    """start() answers when it does; pod() makes a pod with these containers, which do not run, and gives their ids."""

    def __init__(self):
        self.folder = Path(tempfile.mkdtemp(prefix="pystrobe-cri-"))
        self.socket = self.folder / "containerd.sock"
        self._process, self._sandboxes = None, []

    def start(self):
        (self.folder / "config.toml").write_text(CONFIG.format(folder=self.folder, pause=PAUSE), encoding="utf-8")
        with open(self.folder / "log", "ab") as log:
            self._process = subprocess.Popen(["unshare", "--mount", "containerd", "--config", self.folder / "config.toml"],
                                             stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        wait_until(lambda: self._ctr("version", check=False).returncode == 0, 30, "containerd")
        return self

    def _ctr(self, *words, check=True):
        return subprocess.run(["ctr", "-a", self.socket, "-n", "k8s.io", *words], capture_output=True, timeout=60, check=check)

    def call(self, method, message) -> bytes:
        """A unary call; the answer's first field, or b''."""
        (self.folder / "request").write_bytes(b"\0" + len(message).to_bytes(4, "big") + message)
        done = subprocess.run(["curl", "-s", "-S", "--http2-prior-knowledge", "--unix-socket", self.socket, "-H", "te: trailers",
                               "-H", "content-type: application/grpc", "--data-binary", f"@{self.folder}/request",
                               "-D", self.folder / "headers", f"http://localhost/runtime.v1.RuntimeService/{method}"],
                              capture_output=True, timeout=60, check=True)
        headers = (self.folder / "headers").read_text(encoding="utf-8")
        assert "grpc-status: 0" in headers, headers
        return done.stdout[7:7 + done.stdout[6]] if len(done.stdout) > 6 else b""

    def pod(self, name, namespace, uid, containers, labels=None, annotations=None) -> list:
        if not self._sandboxes:
            self._ctr("images", "import", _pause_archive(self.folder))
        on_the_host = field(8, field(2, field(1, field(1, 2))))  # linux, security context, namespaces, network: the node's
        config = (field(1, field(1, name) + field(2, uid) + field(3, namespace)) + entries(6, labels or {}) +
                  entries(7, annotations or {}) + on_the_host)
        sandbox = self.call("RunPodSandbox", field(1, config))
        self._sandboxes.append(sandbox)
        return [self.call("CreateContainer", field(1, sandbox) + field(2, field(1, field(1, one)) + field(2, field(1, PAUSE))) +
                          field(3, config)).decode() for one in containers]

    def stop(self):
        """Pods too: a shim outlives containerd."""
        if self._process is None:
            return
        for sandbox in self._sandboxes:
            self.call("StopPodSandbox", field(1, sandbox))
            self.call("RemovePodSandbox", field(1, sandbox))
        self._sandboxes = []
        self._process.terminate()
        wait_exit(self._process, 20)
        self._process = None

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

"""One real Kubernetes node on this machine: etcd, API server, controller manager, scheduler, containerd and kubelet, in a network
and a mount namespace of their own, so that nothing of it is left when it ends.

The process that starts a Node enters those namespaces itself: its own requests and everything that it starts lie inside.
"""
import ctypes
import json
import os
import shutil
import re
import signal
import ssl
import subprocess
import tempfile
import urllib.request
from pathlib import Path

import programs

from lib.waiting import wait_until

CLONE_NEWNS, CLONE_NEWNET = 0x00020000, 0x40000000
NAME = "node-under-test"
ADDRESS = "10.77.0.1"
SERVICE = "10.96.0.1"
PODS = "10.88.0.0/16"
PAUSE = "pystrobe-test/pause:1"

CONTAINERD = """version = 2
root = "{folder}/containerd/root"
state = "{folder}/containerd/state"
[grpc]
  address = "{folder}/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "docker.io/{pause}"
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "native"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "{folder}/cni"
"""

BRIDGE = {
    "cniVersion": "0.4.0", "name": "pods",
    "plugins": [{"type": "bridge", "bridge": "pods0", "isGateway": True, "isDefaultGateway": True,
                 "ipam": {"type": "host-local", "ranges": [[{"subnet": PODS}]]}}, {"type": "loopback"}],
}

KUBELET = """apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
authentication: {{anonymous: {{enabled: false}}, webhook: {{enabled: true, cacheTTL: 1s}}, x509: {{clientCAFile: {folder}/ca.crt}}}}
authorization: {{mode: Webhook, webhook: {{cacheAuthorizedTTL: 1s, cacheUnauthorizedTTL: 1s}}}}
cgroupDriver: cgroupfs
failSwapOn: false
evictionHard: {{memory.available: 50Mi, nodefs.available: 1%, imagefs.available: 1%, nodefs.inodesFree: 1%}}
imageGCHighThresholdPercent: 100
containerRuntimeEndpoint: unix://{folder}/containerd.sock
podLogsDir: {folder}/logs
staticPodPath: {folder}/static
syncFrequency: 5s
"""
# Without these the kubelet makes a certificate of its own, as kubeadm's do: no authority has signed it.
CERTIFICATE = "tlsCertFile: {folder}/kubelet.crt\ntlsPrivateKeyFile: {folder}/kubelet.key\n"

KUBECONFIG = """apiVersion: v1
kind: Config
clusters: [{{name: c, cluster: {{server: "https://{address}:443", certificate-authority: {folder}/ca.crt}}}}]
users: [{{name: u, user: {{client-certificate: {folder}/{user}.crt, client-key: {folder}/{user}.key}}}}]
contexts: [{{name: x, context: {{cluster: c, user: u}}}}]
current-context: x
"""


def run(*words, check=True, timeout=120, **kwargs):
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, timeout=timeout, check=False, **kwargs)
    assert not check or done.returncode == 0, f"{' '.join(map(str, words))}: {done.stdout}{done.stderr}"
    return done


def enter_namespaces():
    """Leaves the machine's network and mounts for ones of this process's own."""
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.unshare(CLONE_NEWNS | CLONE_NEWNET) == 0, os.strerror(ctypes.get_errno())
    run("mount", "--make-rprivate", "/")
    run("mount", "--make-rshared", "/")
    for words in (["link", "set", "lo", "up"], ["address", "add", f"{SERVICE}/32", "dev", "lo"], ["link", "add", "node0", "type", "bridge"],
                  ["address", "add", f"{ADDRESS}/24", "dev", "node0"], ["link", "set", "node0", "up"]):
        run("ip", *words)


class Node:
    """start() answers a node that is Ready; stop() ends everything."""

    def __init__(self):
        self.folder = Path(tempfile.mkdtemp(prefix="pystrobe-k8s-"))
        self.programs = programs.kubernetes()
        self.processes = {}
        self.environment = {**os.environ, "KUBECONFIG": str(self.folder / "admin.conf"), "HOME": str(self.folder)}

    # ---- certificates ----

    def _certificate(self, name, subject, names=()):
        key, request, cert = (self.folder / f"{name}.{end}" for end in ("key", "csr", "crt"))
        run("openssl", "req", "-new", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", request, "-subj", subject)
        extension = self.folder / f"{name}.ext"
        alternatives = f"subjectAltName={','.join(names)}\n" if names else ""
        extension.write_text(f"{alternatives}extendedKeyUsage=serverAuth,clientAuth\n", encoding="utf-8")
        run("openssl", "x509", "-req", "-in", request, "-CA", self.folder / "ca.crt", "-CAkey", self.folder / "ca.key",
            "-CAcreateserial", "-days", "2", "-out", cert, "-extfile", extension)

    def _certificates(self):
        run("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=test-ca", "-keyout",
            self.folder / "ca.key", "-out", self.folder / "ca.crt")
        here = [f"IP:{ADDRESS}", "IP:127.0.0.1"]
        self._certificate("apiserver", "/CN=kube-apiserver", [*here, f"IP:{SERVICE}", "DNS:kubernetes.default.svc"])
        self._certificate("kubelet", f"/O=system:nodes/CN=system:node:{NAME}", [*here, f"DNS:{NAME}"])
        self._certificate("admin", "/O=system:masters/CN=admin")
        run("openssl", "genrsa", "-out", self.folder / "sa.key", "2048")
        run("openssl", "rsa", "-in", self.folder / "sa.key", "-pubout", "-out", self.folder / "sa.pub")
        for user in ("admin", "kubelet"):
            text = KUBECONFIG.format(address=ADDRESS, folder=self.folder, user=user)
            (self.folder / f"{user}.conf").write_text(text, encoding="utf-8")

    # ---- processes ----

    def launch(self, name, *words, **extra):
        with open(self.folder / f"{name}.log", "ab") as log:
            self.processes[name] = subprocess.Popen([str(word) for word in words], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                                    env={**self.environment, **extra}, start_new_session=True)

    def end(self, name, patience=10):
        process = self.processes.pop(name, None)
        if process is None:
            return
        if patience:
            process.terminate()
        try:
            process.wait(patience)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def start_apiserver(self):
        at = self.folder
        self.launch("apiserver", self.programs / "kube-apiserver", "--etcd-servers=http://127.0.0.1:2379", "--bind-address=0.0.0.0",
                    "--secure-port=443", f"--advertise-address={ADDRESS}", f"--tls-cert-file={at}/apiserver.crt",
                    f"--tls-private-key-file={at}/apiserver.key", f"--client-ca-file={at}/ca.crt",
                    f"--service-account-key-file={at}/sa.pub", f"--service-account-signing-key-file={at}/sa.key",
                    "--service-account-issuer=https://kubernetes.default.svc", "--service-cluster-ip-range=10.96.0.0/16",
                    "--authorization-mode=Node,RBAC", "--allow-privileged=true", f"--kubelet-client-certificate={at}/admin.crt",
                    f"--kubelet-client-key={at}/admin.key", f"--kubelet-certificate-authority={at}/ca.crt",
                    "--kubelet-preferred-address-types=InternalIP", f"--cert-dir={at}/apiserver")
        wait_until(lambda: self.kubectl("get", "--raw", "/readyz", check=False).returncode == 0, 60, "the API server", interval=0.3)

    def start_kubelet(self, certificate=CERTIFICATE):
        (self.folder / "kubelet.yaml").write_text((KUBELET + certificate).format(folder=self.folder), encoding="utf-8")
        self.launch("kubelet", self.programs / "kubelet", f"--config={self.folder}/kubelet.yaml", f"--kubeconfig={self.folder}/kubelet.conf",
                    f"--root-dir={self.folder}/kubelet", f"--node-ip={ADDRESS}", f"--hostname-override={NAME}",
                    f"--cert-dir={self.folder}/kubelet-certs")

    def _start_containerd(self):
        (self.folder / "cni").mkdir()
        (self.folder / "cni" / "10-pods.conflist").write_text(json.dumps(BRIDGE), encoding="utf-8")
        (self.folder / "containerd.toml").write_text(CONTAINERD.format(folder=self.folder, pause=PAUSE), encoding="utf-8")
        self.launch("containerd", "containerd", "--config", self.folder / "containerd.toml")
        wait_until(lambda: self.ctr("version", check=False).returncode == 0, 30, "containerd")

    def start(self, images):
        """images: archives to import, the one with PAUSE among them."""
        self._certificates()
        self._start_containerd()
        self.launch("etcd", "etcd", "--data-dir", self.folder / "etcd", "--listen-peer-urls", "http://127.0.0.1:2380",
                    "--unsafe-no-fsync")
        for archive in images:
            self.ctr("images", "import", archive, timeout=300)
        self.start_apiserver()
        admin = f"--kubeconfig={self.folder}/admin.conf"
        self.launch("controller-manager", self.programs / "kube-controller-manager", admin, "--leader-elect=false",
                    f"--service-account-private-key-file={self.folder}/sa.key", f"--root-ca-file={self.folder}/ca.crt",
                    f"--cert-dir={self.folder}/kcm")
        self.launch("scheduler", self.programs / "kube-scheduler", admin, "--leader-elect=false", f"--cert-dir={self.folder}/sched")
        (self.folder / "static").mkdir()
        self.start_kubelet()
        wait_until(self._is_ready, 90, "the node to be Ready", interval=0.5)
        wait_until(lambda: self.kubectl("get", "serviceaccount", "default", check=False).returncode == 0, 30, "service accounts",
                   interval=0.3)
        return self

    def _is_ready(self):
        for name, process in self.processes.items():
            assert process.poll() is None, f"{name} ended:\n{self.log_of(name)}"
        said = self.kubectl("get", "node", NAME, "-o", "json", check=False)
        if said.returncode != 0:
            return False
        conditions = json.loads(said.stdout)["status"].get("conditions", [])
        return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)

    def log_of(self, name, size=3000):
        return (self.folder / f"{name}.log").read_text(encoding="utf-8", errors="replace")[-size:]

    def kubelet_requests(self, path):
        """How many requests of this path have come to the kubelet since it started, whoever sent them and whatever came of them;
        None while it does not answer."""
        context = ssl._create_unverified_context()
        context.load_cert_chain(self.folder / "admin.crt", self.folder / "admin.key")
        try:
            with urllib.request.urlopen(f"https://{ADDRESS}:10250/metrics", timeout=10, context=context) as answer:
                text = answer.read().decode()
        except OSError:
            return None
        return sum(float(number) for number in re.findall(rf'kubelet_http_requests_total{{[^}}]*path="{path}"[^}}]*}} (\S+)', text))

    # ---- clients ----

    def ctr(self, *words, **kwargs):
        return run("ctr", "-a", self.folder / "containerd.sock", "-n", "k8s.io", *words, **kwargs)

    def kubectl(self, *words, **kwargs):
        return run(self.programs / "kubectl", *words, env=self.environment, **kwargs)

    def apply(self, text, *words):
        return self.kubectl("apply", *words, "-f", "-", input=text)

    def get(self, kind, *words):
        return json.loads(self.kubectl("get", kind, *words, "-o", "json").stdout)

    def stop(self):
        """The kubelet first, so that nothing comes back; then containers, processes and shims; nothing here is worth a
        graceful end but containerd's own. The mounts go with the namespace."""
        for name in list(self.processes):
            if name != "containerd":
                self.end(name, patience=0)
        if "containerd" in self.processes:
            for task in self.ctr("tasks", "list", "-q", check=False).stdout.split():
                self.ctr("tasks", "kill", "-s", "SIGKILL", task, check=False)
        self.end("containerd")
        self._end_shims()
        with open("/proc/self/mounts", encoding="utf-8") as mounts:
            mine = [line.split()[1] for line in mounts if line.split()[1].startswith(str(self.folder))]
        for mount in reversed(mine):
            run("umount", "-l", mount, check=False)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _end_shims(self):
        """Shims outlive containerd by design; ours name our socket in their arguments."""
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            try:
                words = (entry / "cmdline").read_bytes()
                if b"containerd-shim" in words and str(self.folder).encode() in words:
                    os.kill(int(entry.name), signal.SIGKILL)
            except (OSError, ValueError):
                continue

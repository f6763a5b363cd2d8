"""A fake kubelet and API server on loopback with TLS, and processes in cgroups that look like a pod's."""
import contextlib
import http.server
import json
import os
import secrets
import ssl
import subprocess
import threading
from pathlib import Path

from lib.waiting import wait_until

CGROUPS = Path("/sys/fs/cgroup/pids")
TOKEN = "token-of-the-service-account"


class Authority:
    """A certificate authority in a folder; leaf(name) -> (certificate, key) for 127.0.0.1."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.cert = self.folder / "ca.crt"
        self._run("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=test-ca",
                  "-keyout", "ca.key", "-out", "ca.crt")

    def _run(self, *words):
        subprocess.run(["openssl", *words], cwd=self.folder, check=True, capture_output=True)

    def leaf(self, name):
        (self.folder / "san").write_text("subjectAltName=IP:127.0.0.1\n", encoding="utf-8")
        self._run("req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.csr")
        self._run("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2",
                  "-extfile", "san", "-out", f"{name}.crt")
        return self.folder / f"{name}.crt", self.folder / f"{name}.key"


class Server:
    """answer(path, token) -> (status, body: bytes, a dict, or an iterator of bytes, sent as they come).
    requests: [(path, token)] as they came."""

    def __init__(self, certificate, answer, port=0):
        self.requests, self.answer = [], answer
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                token = self.headers.get("Authorization", "")
                outer.requests.append((self.path, token))
                status, body = outer.answer(self.path, token)
                body = json.dumps(body).encode() if isinstance(body, dict) else body
                self.send_response(status)
                if not isinstance(body, bytes):
                    return self.send_parts(body)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                with contextlib.suppress(OSError):
                    self.wfile.write(body)

            def send_parts(self, parts):
                self.send_header("Transfer-Encoding", "chunked")
                self.end_headers()
                self.close_connection = True  # an OSError of parts cuts the answer off
                with contextlib.suppress(OSError):
                    for part in parts:
                        self.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
                    self.wfile.write(b"0\r\n\r\n")

            def log_message(self, *_):
                pass

        class Quiet(http.server.ThreadingHTTPServer):
            daemon_threads, allow_reuse_address = True, True

            def handle_error(self, *_):
                pass

        self.http = Quiet(("127.0.0.1", port), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
        self.http.socket = context.wrap_socket(self.http.socket, server_side=True, do_handshake_on_connect=False)
        self.url = f"https://127.0.0.1:{self.http.server_port}"
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.http.shutdown()
        self.http.server_close()


def pod(name, container_id, namespace="shop", container="web", owner=("ReplicaSet", "web-5d8f7"), labels=None, annotations=None, uid="u", **more):
    """One item of a PodList with one running container."""
    return {
        "metadata": {
            "name": name, "namespace": namespace, "uid": uid, "creationTimestamp": "2026-11-25T10:00:30Z",
            "labels": labels if labels is not None else {"pod-template-hash": "5d8f7"}, "annotations": annotations or {},
            "ownerReferences": [{"kind": owner[0], "name": owner[1], "controller": True}] if owner else [],
        },
        "spec": {"nodeName": "node-1", "containers": [{"name": container, "image": "shop:1"}], **more},
        "status": {"phase": "Running", "podIP": "10.0.0.9",
                   "containerStatuses": [{"name": container, "containerID": f"containerd://{container_id}", "image": "shop:1"}]},
    }


def pods(*items):
    return {"kind": "PodList", "items": list(items)}


def settings(account, *processes, kubelet="", api="", **more):
    """Only these processes, of all that run here, from these servers."""
    mine = "|".join(str(process.pid) for process in processes)
    select = [{"action": "keep", "source_labels": ["__meta_process_pid"], "regex": mine}] if mine else []
    return {"sampling": {"window": "2s", "overhead": {"cpu": "100%"}}, "discovery": {"interval": "1s", "min_age": "0s", "select": select, "kubernetes": {
        "enabled": "true", "node": "node-1", "service_account": str(account),
        "kubelet": kubelet if isinstance(kubelet, dict) else {"url": kubelet},
        "apiserver": {"url": api}, **more}}}


def row_of(agent, pid):
    status, text = agent.get("/debug/targets")
    return next((row for row in json.loads(text)["targets"] if row["pid"] == pid), None) if status == 200 else None


def wait_labels(agent, pid, **wanted):
    row = None

    def there():
        nonlocal row
        row = row_of(agent, pid)
        return row and all(row["labels_after"].get(key) == value for key, value in wanted.items()) and row

    try:
        return wait_until(there, 40, f"pid {pid} with labels {wanted}", interval=0.1)
    except AssertionError as error:
        raise AssertionError(f"{error}; last seen: {row}") from None


class PodCgroup:
    """A cgroup as the kubelet's cgroupfs driver makes it, with that of a container deeper inside where one is named; None where
    cgroups cannot be made."""

    def __init__(self, container_id=None, inside=None):
        self.id = container_id or secrets.token_hex(32)
        raw = secrets.token_hex(16)
        self.uid = f"{raw[:8]}-{raw[8:12]}-{raw[12:16]}-{raw[16:20]}-{raw[20:]}"
        # Not at the top: there a real kubelet would end what it does not know.
        self.folder = CGROUPS / "pystrobe-tests" / "kubepods" / "besteffort" / f"pod{self.uid}" / self.id
        self.inmost = self.folder / "docker" / inside if inside else self.folder
        self.inmost.mkdir(parents=True)

    def put(self, pid):
        (self.inmost / "cgroup.procs").write_text(str(pid), encoding="utf-8")

    def remove(self):
        def gone():
            with contextlib.suppress(OSError):
                for folder in (self.inmost, self.inmost.parent, self.folder):
                    if folder.is_relative_to(self.folder):
                        os.rmdir(folder)
            return not self.folder.exists()

        wait_until(gone, 20, "the cgroup to be empty")
        with contextlib.suppress(OSError):
            os.rmdir(self.folder.parent)


def can_make_cgroups() -> bool:
    """Whether this machine lets us have a cgroup of our own."""
    try:
        PodCgroup().remove()
    except OSError:
        return False
    return True

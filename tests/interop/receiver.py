"""A receiver that refuses what a Pyroscope server with default limits refuses, with the same codes.

It speaks push.v1 as Connect unary over HTTP/1.1 and keeps what it accepted. It stands in for the real
server, which comes in no package registry; where a real one is given the same tests run against both.
"""
import gzip
import http.server
import json
import re
import threading
import time

import pprof

PUSH = "/push.v1.PusherService/Push"
MAX_BYTES, MAX_SAMPLES, MAX_STACK, MAX_STRING = 4 << 20, 16000, 1000, 65535
MAX_LABELS, MAX_NAME, MAX_VALUE = 30, 1024, 2048
OLDEST_S, NEWEST_S = 3600, 600
BURST_BYTES = 2_000_000
CODES = {"invalid_argument": 400, "unauthenticated": 401, "resource_exhausted": 429, "unimplemented": 415}


class Refused(Exception):
    def __init__(self, code, message):
        super().__init__(message)
        self.code = code


def _labels(pairs):
    if "__name__" not in dict(pairs):
        raise Refused("invalid_argument", "error validating labels: missing __name__")
    names = [name for name, _ in pairs]
    if len(names) > MAX_LABELS:
        raise Refused("invalid_argument", f"label names per series {len(names)} over {MAX_LABELS}")
    if len(set(names)) != len(names):
        raise Refused("invalid_argument", "duplicate label name")
    for name, value in pairs:
        if not re.fullmatch(r"[a-zA-Z_][a-zA-Z0-9_.]*", name) or len(name) > MAX_NAME:
            raise Refused("invalid_argument", f"invalid label name {name!r}")
        if len(value.encode()) > MAX_VALUE:
            raise Refused("invalid_argument", f"label value of {name} too long")
    labels = dict(pairs)
    if not re.fullmatch(r"[a-zA-Z_:][a-zA-Z0-9_:]*", labels["__name__"]):
        raise Refused("invalid_argument", "invalid metric name")
    labels.setdefault("service_name", "unknown_service")
    return labels


def _profile(data, now):
    try:
        profile = pprof.Profile(data)
    except UnicodeDecodeError as bad:
        raise Refused("invalid_argument", "malformed profile: invalid UTF-8") from bad
    except Exception as bad:
        raise Refused("invalid_argument", f"malformed profile: {bad}") from bad
    if profile.raw_bytes > MAX_BYTES:
        raise Refused("invalid_argument", f"profile with {profile.raw_bytes} bytes too large")
    if profile.raw_bytes > BURST_BYTES:
        raise Refused("resource_exhausted", "rate limit: larger than the burst")
    if len(profile.samples) > MAX_SAMPLES:
        raise Refused("invalid_argument", f"profile with {len(profile.samples)} samples over {MAX_SAMPLES}")
    age = now - profile.time_nanos / 1e9
    if profile.time_nanos and age > OLDEST_S:
        raise Refused("invalid_argument", "profile outside the ingestion window: too old")
    if age < -NEWEST_S:
        raise Refused("invalid_argument", "profile outside the ingestion window: too far ahead")
    if any(len(text.encode()) > MAX_STRING for text in profile.strings):
        raise Refused("invalid_argument", "symbol too long")
    if not profile.period_type:
        raise Refused("invalid_argument", "no period type")
    for kind, _ in profile.sample_types:
        if "-" in kind:
            raise Refused("invalid_argument", f"sample type {kind!r} with a dash")
    return profile


class Receiver:
    """Accepted: [(labels, profile, tenant)]; requests: [(path, headers)]; refused: [(code, message)].

    With a delay each answer takes that many seconds, as a server's that waits for its disk; most_at_once says
    how many requests waited together.
    """

    def __init__(self, multitenant=False, delay=0):
        self.delay, self.at_once, self.most_at_once = delay, 0, 0
        self.accepted, self.refused, self.requests = [], [], []
        self.multitenant = multitenant
        self.lock = threading.Lock()

    def push(self, body, headers, now):
        tenant = headers.get("X-Scope-OrgID")
        if self.multitenant and not tenant:
            raise Refused("unauthenticated", "no org id")
        if tenant and (len(tenant) > 150 or not re.fullmatch(r"[a-zA-Z0-9!\-_.*'()]+", tenant)):
            raise Refused("invalid_argument", "invalid tenant")
        if headers.get("Content-Type") != "application/proto":
            raise Refused("unimplemented", "unsupported content type")
        if headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        try:
            series = [value for number, value in pprof.fields(body) if number == 1]
        except Exception as bad:
            raise Refused("invalid_argument", f"unmarshal: {bad}") from bad
        if not series:
            raise Refused("invalid_argument", "no profiles received")
        for one in series:
            self._series(one, tenant, now)

    def _series(self, data, tenant, now):
        pairs, samples = [], []
        for number, value in pprof.fields(data):
            if number == 1:
                pair = dict(pprof.fields(value))
                pairs.append((pair.get(1, b"").decode(), pair.get(2, b"").decode()))
            elif number == 2:
                samples.append(dict(pprof.fields(value)).get(1, b""))
        labels = _labels(pairs)
        for raw in samples:
            profile = _profile(raw, now)
            if profile.samples:  # without samples: dropped in silence, with 200
                with self.lock:
                    self.accepted.append((labels, profile, tenant or "anonymous"))

    # ---- read back ----

    def _of(self, service, name):
        with self.lock:
            return [(labels, profile) for labels, profile, _ in self.accepted
                    if labels["service_name"] == service and labels["__name__"] == name]

    def functions(self, service, name, kind):
        """{function: (self, total)} of sample type `kind`, merged over all that was accepted."""
        out = {}
        for _, profile in self._of(service, name):
            index = [each for each, _ in profile.sample_types].index(kind)
            for function, (own, total) in profile.functions_of(index).items():
                before = out.get(function, (0, 0))
                out[function] = (before[0] + own, before[1] + total)
        return out

    def series(self, service, name):
        """Label sets as the server would make them: string labels of samples become labels of series."""
        found = set()
        for labels, profile in self._of(service, name):
            for _, _, extra in profile.samples:
                whole = dict(labels)
                whole.update((key, value) for key, value in extra.items()
                             if isinstance(value, str) and key not in ("span_id", "trace_id"))
                found.add(tuple(sorted(whole.items())))
        return found


def serve(receiver, port=0):
    """Starts it on that or a free port of the loopback; returns (server, port)."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            with receiver.lock:
                receiver.requests.append((self.path, dict(self.headers)))
                receiver.at_once += 1
                receiver.most_at_once = max(receiver.most_at_once, receiver.at_once)
            try:
                self._take(body)
            finally:
                with receiver.lock:
                    receiver.at_once -= 1

        def _take(self, body):
            time.sleep(receiver.delay)
            try:
                if self.path != PUSH:
                    return self._answer(404, b"404 page not found\n", "text/plain")
                receiver.push(body, self.headers, time.time())
            except Refused as refused:
                with receiver.lock:
                    receiver.refused.append((refused.code, str(refused)))
                answer = json.dumps({"code": refused.code, "message": str(refused)}).encode()
                return self._answer(CODES[refused.code], answer, "application/json")
            return self._answer(200, b"", "application/proto")

        def _answer(self, status, body, kind):
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    class Server(http.server.ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 256  # 64 connect at once; who finds no room in the queue tries again after a second or three

    server = Server(("127.0.0.1", port), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server, server.server_address[1]

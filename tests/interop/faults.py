"""Servers that misbehave on purpose: plain TCP with a script, HTTP/2 from hand-made frames, certificates of every kind."""
import contextlib
import socket
import ssl
import struct
import subprocess
import threading
import time


class Server:
    """Runs handler(connection, number) in a thread for each connection; counts connections and bytes."""

    def __init__(self, handler, tls=None, path=None):
        self.handler, self.tls, self.path = handler, tls, path
        self.connections, self.errors, self.received, self.closing = 0, [], [], False
        self.listener = socket.socket(socket.AF_UNIX if path else socket.AF_INET)
        self.listener.bind(str(path) if path else ("127.0.0.1", 0))
        self.listener.listen(64)
        self.port = None if path else self.listener.getsockname()[1]
        self.open = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while not self.closing:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(connection, self.connections), daemon=True).start()

    def _serve(self, connection, number):
        self.open.append(connection)
        try:
            if self.tls:
                connection = self.tls.wrap_socket(connection, server_side=True)
            self.handler(connection, number)
        except (OSError, ValueError) as error:
            self.errors.append(error)
        finally:
            with contextlib.suppress(OSError):
                connection.close()

    def close(self):
        self.closing = True
        for each in [self.listener, *self.open]:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            with contextlib.suppress(OSError):
                each.close()


@contextlib.contextmanager
def serving(handler, tls=None, path=None):
    server = Server(handler, tls, path)
    try:
        yield server
    finally:
        server.close()


# ---- HTTP/1.1 ----

def read_request(connection):
    """(head, body) of one request, or None at the end of the connection."""
    data = b""
    while b"\r\n\r\n" not in data:
        part = connection.recv(65536)
        if not part:
            return None
        data += part
    head, _, body = data.partition(b"\r\n\r\n")
    length = 0
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    while len(body) < length:
        part = connection.recv(65536)
        if not part:
            return None
        body += part
    return head.decode("latin-1"), body


def answer(status, *headers, body=b""):
    lines = [f"HTTP/1.1 {status} X", *headers, f"Content-Length: {len(body)}"]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def scripted(*answers):
    """Handler: the n-th request of the server gets the n-th answer, later ones the last. Bytes or callables(connection)."""
    state, lock = [0], threading.Lock()

    def handler(connection, _):
        while True:
            request = read_request(connection)
            if request is None:
                return
            with lock:
                index = min(state[0], len(answers) - 1)
                state[0] += 1
            handler.requests.append(request)
            handler.times.append(time.monotonic())
            if callable(answers[index]):
                answers[index](connection)
            else:
                connection.sendall(answers[index])

    handler.requests, handler.times = [], []
    return handler


# ---- HTTP/2 by hand ----

DATA, HEADERS, RST, SETTINGS, PING, GOAWAY, WINDOW, CONTINUATION = 0, 1, 3, 4, 6, 7, 8, 9
END_STREAM, END_HEADERS, ACK = 1, 4, 1
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def header_block(*pairs):
    """HPACK: literals without indexing, no Huffman."""
    def number(value, bits):
        most = (1 << bits) - 1
        if value < most:
            return bytes([value])
        out, value = [most], value - most
        while value >= 128:
            out.append(value & 127 | 128)
            value >>= 7
        return bytes(out + [value])

    out = b""
    for name, value in pairs:
        name, value = name.encode(), value if isinstance(value, bytes) else value.encode()
        out += b"\0" + number(len(name), 7) + name + number(len(value), 7) + value
    return out


def reply_headers(stream, *more, end=False):
    block = header_block((":status", "200"), ("content-type", "application/grpc"), *more)
    return frame(HEADERS, END_HEADERS | (END_STREAM if end else 0), stream, block)


def trailers(stream, status="0", *more):
    return frame(HEADERS, END_HEADERS | END_STREAM, stream, header_block(("grpc-status", status), *more))


def trailers_only(stream, status, *more):
    return reply_headers(stream, ("grpc-status", status), *more, end=True)


def ok(stream):
    return reply_headers(stream) + frame(DATA, 0, stream, b"\0\0\0\0\0") + trailers(stream)


class H2:
    """The server's side of one connection; request() waits for a whole request and lets it flow."""

    def __init__(self, connection, settings=b""):
        self.connection, self.buffer, self.refill = connection, b"", True
        self._exactly(len(PREFACE))
        self.send(frame(SETTINGS, 0, 0, settings))

    def send(self, data):
        self.connection.sendall(data)

    def _exactly(self, count):
        while len(self.buffer) < count:
            part = self.connection.recv(65536)
            if not part:
                raise OSError("closed")
            self.buffer += part
        out, self.buffer = self.buffer[:count], self.buffer[count:]
        return out

    def frame(self):
        head = self._exactly(9)
        size = int.from_bytes(head[:3], "big")
        payload = self._exactly(size)
        if head[3] == DATA and payload and self.refill:
            self.send(frame(WINDOW, 0, 0, struct.pack(">I", size)))
        return head[3], head[4], int.from_bytes(head[5:], "big") & 0x7fffffff, payload

    def headers(self):
        """Stream of the next request, once its headers are here."""
        while True:
            kind, flags, stream, _ = self.frame()
            if kind == SETTINGS and not flags & ACK:
                self.send(frame(SETTINGS, ACK, 0))
            if kind == HEADERS:
                return stream

    def request(self):
        """(stream, message bytes with prefix), windows refilled while it comes."""
        stream, body = self.headers(), b""
        while True:
            kind, flags, other, payload = self.frame()
            if kind == DATA and other == stream:
                body += payload
                if payload:
                    self.send(frame(WINDOW, 0, stream, struct.pack(">I", len(payload))))
                if flags & END_STREAM:
                    return stream, body
            if kind == RST and other == stream:
                raise OSError("reset by the client")


def h2_handler(first, then=None, settings=b""):
    """Handler: first(h2) for the first connection (or each, without then), then(h2) for later ones."""
    def handler(connection, number):
        h2 = H2(connection, settings)
        (first if number == 1 or then is None else then)(h2)

    return handler


def h2_ok(h2):
    """Answers every request with OK."""
    while True:
        stream, _ = h2.request()
        h2.send(ok(stream))


# ---- certificates ----

class Certificates:
    """A CA and server certificates signed by it: good, for another host, expired; another CA's; self-signed."""

    def __init__(self, folder):
        self.folder = folder
        (folder / "index.txt").touch()
        (folder / "serial").write_text("1000\n", encoding="ascii")
        (folder / "ca.cnf").write_text(f"""
[ca]
default_ca = here
[here]
dir = {folder}
database = $dir/index.txt
serial = $dir/serial
new_certs_dir = $dir
default_md = sha256
policy = any
unique_subject = no
copy_extensions = copy
[any]
commonName = supplied
""", encoding="utf-8")
        for ca in ("ca", "other-ca"):
            self._openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30",
                          "-subj", f"/CN={ca}", "-keyout", f"{ca}.key", "-out", f"{ca}.pem")
        self._sign("good", "IP:127.0.0.1,DNS:localhost")
        self._sign("wrong-host", "DNS:elsewhere.example")
        self._sign("expired", "IP:127.0.0.1", start="20200101000000Z", end="20200201000000Z")
        self._sign("unknown-ca", "IP:127.0.0.1", ca="other-ca")

    def _openssl(self, *argv):
        done = subprocess.run(["openssl", *argv], cwd=self.folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr

    def _sign(self, name, names, ca="ca", start=None, end=None):
        self._openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={name}",
                      "-addext", f"subjectAltName={names}", "-keyout", f"{name}.key", "-out", f"{name}.csr")
        dates = ["-startdate", start, "-enddate", end] if start else ["-days", "30"]
        self._openssl("ca", "-batch", "-notext", "-config", "ca.cnf", "-cert", f"{ca}.pem", "-keyfile", f"{ca}.key",
                      *dates, "-in", f"{name}.csr", "-out", f"{name}.pem")

    def ca(self):
        return str(self.folder / "ca.pem")

    def server(self, name, alpn=None, **limits):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.folder / f"{name}.pem", self.folder / f"{name}.key")
        if alpn:
            context.set_alpn_protocols([alpn])
        for key, value in limits.items():
            setattr(context, key, value)
        return context

"""The shop on the standard library alone: some worker processes that share one listening socket, a thread a request.

    serve.py FD WORKERS             FD is a bound and listening socket
"""
import os
import signal
import socket
import socketserver
import sys
import wsgiref.simple_server

import app


class QuietHandler(wsgiref.simple_server.WSGIRequestHandler):
    def log_message(self, *args):
        pass


class WorkerServer(socketserver.ThreadingMixIn, wsgiref.simple_server.WSGIServer):
    daemon_threads = True

    def __init__(self, listener):
        super().__init__(listener.getsockname(), QuietHandler, bind_and_activate=False)
        self.socket.close()
        self.socket = listener
        self.server_name, self.server_port = listener.getsockname()[:2]
        self.setup_environ()
        self.set_app(app.application)


def run_worker(listener):
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    WorkerServer(listener).serve_forever()


def main():
    listener = socket.socket(fileno=int(sys.argv[1]))
    workers = []
    for _ in range(int(sys.argv[2])):
        pid = os.fork()
        if pid == 0:
            run_worker(listener)
        workers.append(pid)

    def stop(*_):
        for pid in workers:
            os.kill(pid, signal.SIGTERM)
        sys.exit(0)

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    while True:
        signal.pause()


if __name__ == "__main__":
    main()

"""Steady requests on web applications under test."""
import contextlib
import threading
import urllib.request


def _client(url, ended):
    while not ended.is_set():
        try:
            urllib.request.urlopen(url, timeout=10).read()
        except OSError:
            ended.wait(0.1)  # the server is not up yet, or was restarted


@contextlib.contextmanager
def requests():
    """with requests() as load: load(url) keeps one request after the other on url until the block ends."""
    ended, clients = threading.Event(), []

    def start(url):
        clients.append(threading.Thread(target=_client, args=(url, ended), daemon=True))
        clients[-1].start()

    try:
        yield start
    finally:
        ended.set()
        for client in clients:
            client.join(15)

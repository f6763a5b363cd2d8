"""A web application that is never quite idle."""
import threading
import time


def spin():
    while True:
        sum(range(2000))
        time.sleep(0.05)


threading.Thread(target=spin, daemon=True).start()


def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"ok\n"]

"""A WSGI application whose requests spend their time in two functions, 60 to 40, and then wait."""
import time


def price_basket(cpu_ns):
    end = time.thread_time_ns() + cpu_ns
    while time.thread_time_ns() < end:
        pass


def render_page(cpu_ns):
    end = time.thread_time_ns() + cpu_ns
    while time.thread_time_ns() < end:
        pass


def fetch_stock(seconds):
    time.sleep(seconds)


def application(environ, start_response):
    price_basket(6_000_000)
    render_page(4_000_000)
    fetch_stock(0.005)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"done\n"]

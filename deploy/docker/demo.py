"""A WSGI application with something to find in its profile."""


def slow_sum(count):
    total = 0
    for number in range(count):
        total += number * number
    return total


def render(total):
    return "\n".join(str(total + line) for line in range(2000))


def application(environ, start_response):
    body = render(slow_sum(200_000)).encode()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]

"""A WSGI application."""

import hashlib
import time


def application(environ, start_response):
    path = environ["PATH_INFO"]
    plain = ("Content-Type", "text/plain")
    if path == "/stream":
        start_response("200 OK", [plain])
        return stream()
    if path == "/not-modified":
        start_response("304 Not Modified", [("ETag", '"x"')])
        return []
    if path == "/nothing":
        start_response("204 No Content", [])
        return []
    if path == "/unread":
        start_response("403 Forbidden", [plain, ("Content-Length", "8")])
        return [b"not read"]
    if path == "/broken":
        raise RuntimeError("broken")
    if path == "/large":
        start_response("200 OK", [plain, ("Content-Length", "20000000")])
        return [b"x" * 1_000_000 for _ in range(20)]
    body = environ["wsgi.input"].read()
    text = f"{environ['REQUEST_METHOD']} {path} {len(body)} {hashlib.sha1(body).hexdigest()}".encode()
    start_response("200 OK", [plain, ("Set-Cookie", "a=1"), ("Set-Cookie", "b=2"), ("Content-Length", str(len(text)))])
    return [text]


def stream():
    for part in range(30):
        time.sleep(0.003)
        yield b"part %d\n" % part

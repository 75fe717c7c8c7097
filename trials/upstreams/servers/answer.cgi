#!/usr/bin/env python3
"""A CGI program that frames its answers, or leaves that to the server."""

import hashlib
import os
import sys
import time

path, method = os.environ.get("PATH_INFO", ""), os.environ["REQUEST_METHOD"]
out = sys.stdout.buffer


def head(*lines):
    out.write(("\n".join(lines) + "\n\n").encode())
    out.flush()


if path == "/stream":
    head("Content-Type: text/plain")
    for part in range(30):
        out.write(b"part %d\n" % part)
        out.flush()
        time.sleep(0.003)
elif path == "/length":
    head("Content-Type: text/plain", "Content-Length: 6")
    out.write(b"length")
elif path == "/status":
    head("Status: 418 A Teapot", "Content-Type: text/plain", "Set-Cookie: a=1", "Set-Cookie: b=2")
    out.write(b"short and stout")
elif path == "/moved":
    head("Status: 302 Found", "Location: /elsewhere?x=1")
elif path == "/not-modified":
    head("Status: 304 Not Modified", 'ETag: "x"')
elif path == "/unread":
    head("Status: 403 Forbidden", "Content-Type: text/plain")
    out.write(b"not read")
elif path == "/broken":
    sys.exit(1)
else:
    body = sys.stdin.buffer.read()
    digest = hashlib.sha256(body).hexdigest()
    text = f"{method} {path} {os.environ.get('QUERY_STRING')} {len(body)} {digest}\n"
    for name in ("CONTENT_LENGTH", "CONTENT_TYPE", "HTTP_COOKIE", "HTTP_X_A", "SERVER_PROTOCOL"):
        text += f"{name}={os.environ.get(name)}\n"
    head("Content-Type: text/plain")
    out.write(text.encode())

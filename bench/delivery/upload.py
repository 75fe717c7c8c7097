"""Uploads with Python requests, for bench/delivery.mjs: one JSON order a line on stdin, one JSON result a line on stdout."""

import json
import re
import sys
import time

import requests


class Counted:
    """A file that knows how much of it was read."""

    def __init__(self, path):
        self.file = open(path, "rb")
        self.size = self.file.seek(0, 2)
        self.file.seek(0)
        self.taken = 0

    def __len__(self):
        return self.size

    def read(self, size=-1):
        piece = self.file.read(size)
        self.taken += len(piece)
        return piece

    def pieces(self):
        while piece := self.read(65536):
            yield piece


def upload(order):
    file = Counted(order["file"])
    data = file.pieces() if order["chunked"] else file
    started = time.monotonic()
    try:
        answer = requests.post(
            order["url"], data=data, headers={"Content-Type": order["contentType"]}, timeout=order["patience"]
        )
        outcome = answer.status_code
    except requests.RequestException as error:
        reason = re.sub(r" at 0x[0-9a-f]+", "", str(error))
        outcome = f"{type(error).__name__}: {reason}"
    return {"outcome": outcome, "ms": (time.monotonic() - started) * 1000, "written": file.taken}


print(requests.__version__, flush=True)
for line in sys.stdin:
    print(json.dumps(upload(json.loads(line))), flush=True)

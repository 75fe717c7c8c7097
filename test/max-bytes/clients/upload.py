"""Uploads with Python requests: `upload.py <url> <length> <times>` prints a line an upload, its status or what went
wrong. Every other one has no announced length."""

import sys

import requests

url, length, times = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
body = b"a" * length


def pieces():
    for start in range(0, length, 65536):
        yield body[start : start + 65536]


for time in range(times):
    try:
        answer = requests.post(url, data=pieces() if time % 2 else body)
        print(answer.status_code if answer.text else "no whole answer")
    except requests.RequestException as error:
        print(f"{type(error).__name__}: {error}")

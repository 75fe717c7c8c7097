"""python server.py PORT 1.0|1.1 FOLDER: http.server, and handlers that frame their answers in every way it knows."""

import http.server
import sys
import time

PORT, VERSION, FOLDER = int(sys.argv[1]), sys.argv[2], sys.argv[3]


class Handler(http.server.SimpleHTTPRequestHandler):
    protocol_version = f"HTTP/{VERSION}"

    def __init__(self, *args):
        super().__init__(*args, directory=FOLDER)

    def log_message(self, *args):
        pass

    def do_GET(self):
        answer = getattr(self, "answer_" + self.path.strip("/"), None)
        if answer is None:
            super().do_GET()
        else:
            answer()

    def do_POST(self):
        if self.path == "/unread":
            return self.send_error(403, "Not read")
        body = self.read_body()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def read_body(self):
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def answer_until_close(self):
        """No length: the end of the connection is the end of the body."""
        self.close_connection = True
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.end_headers()
        for part in range(50):
            self.wfile.write(b"part %d\n" % part)
            time.sleep(0.002)

    def answer_kept(self):
        """HTTP/1.0 with keep-alive, or 1.1 as it is."""
        self.close_connection = False
        self.send_response(200)
        self.send_header("Connection", "keep-alive")
        self.send_header("Content-Length", "4")
        self.end_headers()
        self.wfile.write(b"kept")

    def answer_chunked(self):
        if VERSION == "1.0":
            return self.answer_until_close()
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for part in [b"one", b"twenty bytes are here", b"x" * 70000]:
            self.wfile.write(b"%X;ext=1\r\n%s\r\n" % (len(part), part))
        self.wfile.write(b"0\r\nX-Sum: 3\r\n\r\n")

    def answer_cut(self):
        self.close_connection = True
        self.send_response(200)
        self.send_header("Content-Length", "100")
        self.end_headers()
        self.wfile.write(b"half")

    def answer_nothing(self):
        self.close_connection = True

    def answer_old(self):
        """HTTP/0.9 knows no head: this is no response for anybody."""
        self.close_connection = True
        self.wfile.write(b"<html>no head</html>\n")


http.server.ThreadingHTTPServer.daemon_threads = True
http.server.ThreadingHTTPServer.request_queue_size = 128
http.server.ThreadingHTTPServer(("127.0.0.1", PORT), Handler).serve_forever()

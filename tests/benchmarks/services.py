"""Tiny services in separate processes, with the answers that a test needs."""

import sys

HEAD = """
import os
from itertools import count
from threading import Event
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ANSWER = b'{"probabilities": {"cat": 1.0, "dog": 0.0}}'

NUMBERS = count()
RELEASED = Event()

class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.number = next(NUMBERS)
        self.answer()

    def log_message(self, *arguments):
        pass
"""
SERVE = """
ThreadingHTTPServer.request_queue_size = 128
ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"""
SOUND = """
    def answer(self):
        self.send_response(200)
        self.send_header("Content-Length", str(len(ANSWER)))
        self.end_headers()
        self.wfile.write(ANSWER)
"""
EVERY_OTHER_FAILS = SOUND.replace("(200)", "(500 if self.number % 2 else 200)")
CHUNKED = """
    def answer(self):
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for part in (ANSWER[:9], ANSWER[9:], b""):
            self.wfile.write(b"%x\\r\\n%b\\r\\n" % (len(part), part))
"""
HANGS_UP = """
    def answer(self):
        self.connection.close()
        self.close_connection = True
"""
TOGETHER = 20
WAITS_FOR_OTHERS = f"""
    def answer(self):
        if self.number >= {TOGETHER}:
            RELEASED.set()
        if self.number:
            RELEASED.wait()
""" + SOUND.split("\n", 2)[2]


def command(answer: str) -> list[str]:
    """The command that runs a service with one of these answers."""
    return [sys.executable, "-c", HEAD + answer + SERVE]

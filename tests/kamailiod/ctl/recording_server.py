"""An HTTP server that answers JSON-RPC from a table and keeps what was called."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class RecordingServer:
    """`answers` maps a method to its result, or to (code, message) for a fault."""

    def __init__(self, answers):
        self.calls = []
        recorder = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status, answer = recorder.answer(self.path, body)
                self.send_response(status)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *arguments):
                pass

        self._answers = answers
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self.url = f"http://127.0.0.1:{self._server.server_port}/rpc"

    def answer(self, path, body):
        if path != "/rpc":
            return 404, b"not here\n"
        request = json.loads(body)
        method = request["method"]
        self.calls.append((method, *request["params"]))
        found = self._answers.get(method, (500, "Method Not Found"))
        answer = {"jsonrpc": "2.0", "id": request["id"]}
        if isinstance(found, tuple):
            answer["error"] = {"code": found[0], "message": found[1]}
            return found[0], json.dumps(answer).encode()
        answer["result"] = found
        return 200, json.dumps(answer).encode()

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *failure):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

"""A turnstile between us and the sandbox: every call of ours passes it, and the test says when.

What a slow gateway does needs no clock: a call is held until the test lets it go, and what is to happen
between a question and its answer happens then and not about then.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx

Act = Callable[[], object]
_OF_ONE_STEP = {
    "accept-encoding",
    "connection",
    "content-encoding",
    "content-length",
    "date",
    "host",
    "server",
}


class Turnstile:
    """A real HTTP server before the sandbox. Calls are named by a part of their path.

    waiting: paths of the calls that were held, in the order in which they came.
    """

    def __init__(self, sandbox_url: str) -> None:
        self.waiting: list[str] = []
        self._held: dict[str, threading.Event] = {}
        self._before: dict[str, Act] = {}
        self._after: dict[str, Act] = {}
        self._sandbox = httpx.Client(base_url=sandbox_url, timeout=60)
        self._server = _Server(self)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> "Turnstile":
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._sandbox.close()

    @contextmanager
    def holding(self, part: str) -> Iterator[None]:
        """Such calls wait until the block ends."""
        self._held[part] = threading.Event()
        try:
            yield
        finally:
            self._held.pop(part).set()

    def before(self, part: str, act: Act) -> None:
        """Let something happen before the next such call reaches the gateway."""
        self._before[part] = act

    def after(self, part: str, act: Act) -> None:
        """Let something happen when the gateway has answered the next such call, and we do not know yet."""
        self._after[part] = act

    def passed(self, method: str, path: str, headers: dict[str, str], body: bytes) -> httpx.Response:
        """The sandbox's answer to a call, once it may pass."""
        for released in [released for part, released in self._held.items() if part in path]:
            self.waiting.append(path)
            released.wait()
        self._happens(self._before, path)
        answer = self._sandbox.request(method, path, headers=headers, content=body)
        self._happens(self._after, path)
        return answer

    def _happens(self, acts: dict[str, Act], path: str) -> None:
        for part in [part for part in acts if part in path]:
            acts.pop(part)()


class _Handler(BaseHTTPRequestHandler):
    disable_nagle_algorithm = True
    server: "_Server"

    def _pass(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        headers = {name: value for name, value in self.headers.items() if name.lower() not in _OF_ONE_STEP}
        answer = self.server.turnstile.passed(self.command, self.path, headers, body)
        self.send_response(answer.status_code)
        for name, value in answer.headers.items():
            if name not in _OF_ONE_STEP:
                self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer.content)

    do_GET = do_POST = _pass  # noqa: N815 - the names that http.server wants

    def log_message(self, *_: object) -> None:
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def __init__(self, turnstile: Turnstile) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.turnstile = turnstile

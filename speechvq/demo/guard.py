"""What may reach the page's server at all: few routes, small bodies, and never a file's path.

The page sends and receives audio as text, so none of gradio's routes that store, serve or
fetch files is needed; they are shut. What is left is listed here.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Message = MutableMapping[str, Any]
Send = Callable[[Message], Awaitable[None]]
Receive = Callable[[], Awaitable[Message]]

PAGES = {"/", "/config", "/login", "/logout", "/theme.css", "/favicon.ico", "/robots.txt", "/manifest.json"}
ASSETS = ("/static/", "/assets/", "/svelte/")
API = "/gradio_api"
READS = ("/info", "/app_id", "/user", "/token", "/login_check", "/queue/data", "/queue/status", "/startup-events")
READS_BELOW = ("/heartbeat/", "/call/")
WRITES = ("/queue/join", "/cancel", "/reset")
WRITES_BELOW = ("/call/",)

# Gradio's page styles and starts itself inline; nothing is ever fetched from elsewhere.
POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; media-src 'self' data: blob:; font-src 'self' data:; connect-src 'self' data: blob:; "
    "worker-src 'self' blob:; object-src 'none'; base-uri 'self'; form-action 'self'"
)
HEADERS = (
    (b"content-security-policy", POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
)


class Guard:
    """An ASGI middleware that lets through what the page and the API need, and nothing else.

    Args:
        app: the application behind it.
        max_body: largest request body, in bytes.
    """

    def __init__(self, app: Callable, max_body: int):
        self.app, self.max_body = app, max_body

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer a request, or pass it on."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http" or not allowed(scope["method"], scope["path"]):
            await _refuse(send, 404, "There is nothing here: see /gradio_api/info for what can be called.")
            return
        body = await _read(receive, self.max_body) if scope["method"] == "POST" else b""
        if body is None:
            await _refuse(send, 413, f"The request is larger than {self.max_body >> 20} MB: send a shorter recording.")
        elif _is_json(scope) and names_file(body):
            await _refuse(send, 400, "This server takes no files by path or address: send audio as base64 text.")
        else:
            await self.app(scope, _replay(body, receive), _with_headers(send))


def allowed(method: str, path: str) -> bool:
    """Whether the page or the API needs this route."""
    if ".." in path or "\\" in path:
        return False
    if path == "/login" and method == "POST":
        return True
    if not path.startswith(API + "/"):
        return method in ("GET", "HEAD") and ((path.rstrip("/") or "/") in PAGES or path.startswith(ASSETS))
    path = path.removeprefix(API).rstrip("/")
    if method == "POST":
        return path in WRITES or path.startswith(WRITES_BELOW)
    return method in ("GET", "HEAD") and (path in READS or path.startswith(READS_BELOW))


def names_file(body: bytes) -> bool:
    """Whether a JSON body holds an object by which gradio would open a file or fetch an address."""
    try:
        return _names_file(json.loads(body))
    except (ValueError, RecursionError):
        # What is not JSON is not understood behind us either; deep nesting is no honest request.
        return True


def _names_file(value: Any) -> bool:
    if isinstance(value, dict):
        return "path" in value or "url" in value or any(map(_names_file, value.values()))
    return isinstance(value, list) and any(map(_names_file, value))


def _is_json(scope: Message) -> bool:
    # Everything that is posted is JSON but the log-in form.
    return scope["method"] == "POST" and scope["path"] != "/login"


async def _read(receive: Receive, limit: int) -> bytes | None:
    chunks, size = [], 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return b"".join(chunks)
        chunks.append(message.get("body", b""))
        size += len(chunks[-1])
        if size > limit:
            return None
        if not message.get("more_body"):
            return b"".join(chunks)


def _replay(body: bytes, receive: Receive) -> Receive:
    pending = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Message:
        return pending.pop() if pending else await receive()

    return replay


def _with_headers(send: Send) -> Send:
    async def with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message.get("headers", []), *HEADERS]
        await send(message)

    return with_headers


async def _refuse(send: Send, status: int, sentence: str) -> None:
    body = json.dumps({"error": sentence, "detail": sentence}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode()), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})

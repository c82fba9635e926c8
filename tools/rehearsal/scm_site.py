"""An emulator of an app's SCM site and of the app behind it: accepts only the documented protocol."""

from __future__ import annotations

import io
import json
import threading
import zipfile
from collections import deque
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from infra.publish.bundle import VERSION_FILE
from tools.rehearsal.tokens import TokenEndpoint

AUDIENCE = "https://management.azure.com"
PARAMETERS = {"RemoteBuild": ["false"], "isAsync": ["true"], "Deployer": ["queued-jobs"]}
PENDING, DEPLOYING, FAILED, SUCCESS, CONFLICT = 0, 2, 3, 4, 5
ROLE_LAG = '{"Message": "BlobUploadFailedException: storage returned 403 (AuthorizationPermissionMismatch)"}'


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """The response to the next publication: a rejection (`status`), or a deployment with this outcome."""

    status: int = 202
    body: str = ""
    ends_as: int = SUCCESS
    log: str = "and could not unpack"
    #: Of an accepted publication; a rejection always allows another attempt at once.
    retry_after: int | None = None


@dataclass(slots=True, kw_only=True)
class Deployment:
    """One publication that the site accepted."""

    id: str
    size: int
    steps: deque[int]
    log: str
    status: int = PENDING
    files: list[str] = field(default_factory=list)
    version: str | None = None


class ScmSite:
    """Serves from its construction on until `close`."""

    def __init__(self, tokens: TokenEndpoint) -> None:
        self.tokens = tokens
        self.deployments: list[Deployment] = []
        self.violations: list[str] = []
        self.replies: deque[Reply] = deque()
        self.refused = 0
        #: How many requests the previous code still serves.
        self.late_replies = 0
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"site": self}))
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, name="SCM site", daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def running(self) -> Deployment | None:
        """Return the version that serves now, None if there is none."""
        live = [deployment for deployment in self.deployments if deployment.status == SUCCESS]
        if self.late_replies and len(live) > 1:
            self.late_replies -= 1
            return live[-2]
        return live[-1] if live else None

    def reset(self) -> None:
        """Become the site of a new app."""
        self.deployments.clear()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def take(self, content: bytes, reply: Reply) -> Deployment:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            files = archive.namelist()
            version = archive.read(VERSION_FILE).decode() if VERSION_FILE in files else None
        deployment = Deployment(
            id=f"deployment-{len(self.deployments) + 1}",
            size=len(content),
            steps=deque([DEPLOYING, reply.ends_as]),
            log=reply.log,
            files=files,
            version=version,
        )
        self.deployments.append(deployment)
        return deployment


class _Handler(BaseHTTPRequestHandler):
    site: ScmSite

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        if path == "/api/health":
            running = self.site.running()
            if running is None:
                self._reply(503, {"status": "no code"}, retry_after=0)
            else:
                self._reply(200, {"status": "ok", "version": running.version}, retry_after=0)
        elif not self._is_deployer():
            self._reply(401, "")
        elif path == "/api/deployments":
            # the oldest first, which is the inconvenient order
            self._reply(200, [{"id": each.id, "status": each.status} for each in self.site.deployments])
        else:
            self._describe_deployment(path)

    def do_POST(self) -> None:
        content = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        if not self._is_deployer():
            self._reply(401, "")
            return
        reply = self.site.replies.popleft() if self.site.replies else Reply()
        violation = self._violation(content)
        if violation:
            self.site.violations.append(violation)
            self._reply(400, violation)
        elif reply.status != 202:
            self.site.refused += 1
            self._reply(reply.status, reply.body, retry_after=0)
        else:
            self.site.take(content, reply)
            self._reply(202, "", retry_after=reply.retry_after)

    def _describe_deployment(self, path: str) -> None:
        wanted = path.removeprefix("/api/deployments/").removesuffix("/log")
        found = next((each for each in self.site.deployments if each.id == wanted), None)
        if found is None:
            self._reply(404, "")
        elif path.endswith("/log"):
            self._reply(200, [{"message": f"{found.id} took {found.size} bytes"}, {"message": found.log}])
        else:
            found.status = found.steps.popleft() if found.steps else found.status
            self._reply(200, {"id": found.id, "status": found.status})

    def _is_deployer(self) -> bool:
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        if self.site.tokens.is_valid(token, AUDIENCE):
            return True
        self.site.violations.append(f"{self.command} {self.path} without a token for {AUDIENCE}")
        return False

    def _violation(self, content: bytes) -> str:
        url = urlsplit(self.path)
        if url.path != "/api/publish":
            return f"POST {url.path}: code is published to /api/publish"
        if parse_qs(url.query) != PARAMETERS:
            return f"the parameters are {url.query}"
        if self.headers.get("Content-Type") != "application/zip" or self.headers.get("If-Match") != "*":
            return "Content-Type must be application/zip, and If-Match *"
        return "" if zipfile.is_zipfile(io.BytesIO(content)) else "the body is not a zip"

    def _reply(self, status: int, body: Any, *, retry_after: int | None = None) -> None:
        text = (body if isinstance(body, str) else json.dumps(body)).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        if retry_after is not None:
            self.send_header("Retry-After", str(retry_after))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, format: str, *args: Any) -> None:
        """Print nothing."""

"""A stand-in for the API server of Kubernetes: it checks what it is given, and runs jobs as plain processes.

It knows the calls of Snakemake's executor and nothing else. No container, no scheduling, no rights: what it shows is
that the profile makes jobs which Kubernetes' schemas allow, and whose commands, each in an empty folder, make records
from nothing but the volume.
"""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import kubernetes_validate
import yaml


class StandIn:
    """What was asked of the server.

    Attributes:
        jobs: Bodies of the jobs, as they came, by name.
        answers: What the commands of the jobs wrote, by name.
        statuses: Their exit statuses, by name; absent while they run.
        calls: Method and resource of each call, as a role names them.
        errors: What the schemas say against a body.
    """

    def __init__(self, folder: Path, env: dict[str, str]) -> None:
        self.folder, self.env = folder, env
        self.jobs: dict[str, dict] = {}
        self.answers: dict[str, str] = {}
        self.statuses: dict[str, int] = {}
        self.calls: set[tuple[str, str]] = set()
        self.errors: list[str] = []
        self.kubeconfig = folder / "kubeconfig"

    def check(self, body: dict) -> None:
        """Compare a body with the schema of its kind."""
        try:
            kubernetes_validate.validate(body, kubernetes_validate.latest_version(), strict=True)
        except kubernetes_validate.ValidationError as error:
            self.errors.append(str(error))

    def start(self, body: dict) -> None:
        """Run a job's command where its pod would: in an empty folder of its own."""
        name = body["metadata"]["name"]
        self.jobs[name] = body
        (container,) = body["spec"]["template"]["spec"]["containers"]
        workdir = self.folder / name
        workdir.mkdir()

        def run() -> None:
            done = subprocess.run(
                [*container["command"], *container["args"]], cwd=workdir, env=self.env, capture_output=True, text=True
            )
            self.answers[name] = done.stdout + done.stderr
            self.statuses[name] = done.returncode

        threading.Thread(target=run, daemon=True).start()

    def job(self, name: str) -> dict:
        """A job with its status."""
        status = self.statuses.get(name)
        kinds = {} if status is None else {"succeeded": 1} if status == 0 else {"failed": 1}
        return {"metadata": {"name": name}, "status": kinds or {"active": 1}}


@contextmanager
def stand_in(folder: Path, env: dict[str, str]) -> Iterator[StandIn]:
    """Serve, and write a kubeconfig that leads there."""
    state = StandIn(folder, env)

    class Handler(BaseHTTPRequestHandler):
        def answer(self, body: dict) -> None:
            content = json.dumps(body).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def parts(self) -> list[str]:
            """Of a path …/namespaces/NAMESPACE/RESOURCE/NAME: what comes after the namespace."""
            return self.path.partition("?")[0].partition("/namespaces/")[2].split("/")[1:]

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            (resource,) = self.parts()
            state.calls.add(("create", resource))
            if resource == "jobs":
                body = {"apiVersion": "batch/v1", "kind": "Job", **body}
                state.check(body)
                state.start(body)
            self.answer(body)

        def do_GET(self) -> None:
            resource, *rest = self.parts()
            state.calls.add(("get" if rest else "list", "/".join([resource, *rest[1:]])))
            if resource == "jobs":
                self.answer(state.job(rest[0]))
            else:
                self.answer({"items": []})  # pods that Snakemake reads further details from

        def do_DELETE(self) -> None:
            state.calls.add(("delete", self.parts()[0]))
            self.answer({})

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    address = f"http://127.0.0.1:{server.server_address[1]}"
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "here",
        "contexts": [{"name": "here", "context": {"cluster": "here", "user": "here"}}],
        "clusters": [{"name": "here", "cluster": {"server": address}}],
        "users": [{"name": "here", "user": {}}],
    }
    state.kubeconfig.write_text(yaml.safe_dump(config))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()

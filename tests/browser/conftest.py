"""Shared code of the browser tests: the browser, a server for the built pages, and a log."""

import os
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

import chromium
from course import ROOT

BUILT = ROOT / "docs/build"


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """The system's Chromium, or the program at BROWSER_PATH."""
    path = chromium.find()
    # Chromium's sandbox does not start as root, the user of most containers.
    as_root = hasattr(os, "geteuid") and os.geteuid() == 0
    with sync_playwright() as playwright:
        options = ["--disable-gpu", "--disable-background-networking"]
        options += ["--no-sandbox"] if as_root else []
        found = playwright.chromium.launch(executable_path=path, args=options)
        yield found
        found.close()


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


def serve(folder: Path) -> Iterator[str]:
    """Serve a folder to this machine only. Yields the address without a final slash."""
    handler = partial(Quiet, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(scope="session")
def site() -> Iterator[str]:
    yield from serve(BUILT / "site")


@pytest.fixture(scope="session")
def decks() -> Iterator[str]:
    yield from serve(BUILT / "slides")


class Watch:
    """The errors of a page, and the other hosts that it contacted."""

    def __init__(self, page: Page, home: str) -> None:
        self.problems: list[str] = []
        self.home = urlsplit(home).netloc
        page.on("console", self._said)
        page.on("pageerror", lambda error: self.problems.append(f"error: {error}"))
        page.on("request", lambda request: self._asked(request.url))
        page.on("response", lambda answer: self._answered(answer.status, answer.url))

    def _said(self, message) -> None:
        if message.type in ("error", "warning"):
            self.problems.append(f"console: {message.text}")

    def _asked(self, url: str) -> None:
        if urlsplit(url).scheme not in ("data", "blob") and urlsplit(url).netloc != self.home:
            self.problems.append(f"asked another host: {url}")

    def _answered(self, status: int, url: str) -> None:
        if status >= 400:
            self.problems.append(f"answered {status}: {url}")

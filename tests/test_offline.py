"""No notebook, script or test contacts another host."""

import os
import socket
import subprocess
import sys

import pytest

import forked
import offline
from course import ROOT

CALLS = {
    "connects": "socket.create_connection(('192.0.2.1', 80), 1)",
    "asks for an address": "socket.getaddrinfo('example.org', 443)",
    "sends a packet": "socket.socket(type=socket.SOCK_DGRAM).sendto(b'', ('192.0.2.1', 9))",
    "asks for a page": "import urllib.request; urllib.request.urlopen('http://example.org')",
}


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux")
@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_a_process_that_asks_for_another_host_is_stopped_and_noted(call, tmp_path):
    notes = tmp_path / "notes"
    code = f"import socket\ntry:\n    {call}\nexcept OSError as error:\n    print(error)"
    done = forked.run("-c", code, env=os.environ | {offline.NOTES: str(notes)})
    assert "A test must not contact another host" in done.stdout, done.stderr
    assert notes.read_text().startswith(("192.0.2.1 (-c)", "example.org (-c)"))


@pytest.mark.parametrize("host", [None, "", "127.0.0.1", "localhost", "::1", "0.0.0.0", b"::1"])
def test_a_process_may_contact_its_own_machine(host):
    assert offline.is_this_machine(host)


def test_the_tests_themselves_are_watched(monkeypatch, tmp_path):
    monkeypatch.setenv(offline.NOTES, str(tmp_path / "notes"))
    with pytest.raises(PermissionError, match="asked for example.org"):
        socket.getaddrinfo("example.org", 443)


def test_a_run_that_contacted_a_host_fails(tmp_path):
    (tmp_path / "test_it.py").write_text("""
import contextlib, socket

def test_that_ignores_the_error():
    with contextlib.suppress(OSError):
        socket.getaddrinfo("example.org", 443)
""")
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    command = [sys.executable, "-m", "pytest", "-p", "conftest", "-n0", str(tmp_path)]
    env = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=env)
    assert "1 passed" in done.stdout and done.returncode == 1, done.stdout
    assert "another host was contacted: example.org" in done.stdout

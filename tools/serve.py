"""Build the web site of the course and show it: ``make serve``."""

import errno
import subprocess
import sys
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from course import BUILD

SITE = BUILD / "site"
HOST = "127.0.0.1"


def server(port: str) -> ThreadingHTTPServer:
    """A server for the site on this machine. It is not running yet, but it has the port.

    Raises:
        SystemExit: The port cannot be used. The message says why.
    """
    if not port.isdecimal() or not 0 < int(port) < 2**16:
        raise SystemExit(f"PORT is {port!r}. It must be a number from 1 to 65535.")
    handler = partial(SimpleHTTPRequestHandler, directory=str(SITE))
    try:
        return ThreadingHTTPServer((HOST, int(port)), handler)
    except OSError as error:
        reason = "is in use" if error.errno == errno.EADDRINUSE else f"fails: {error.strerror}"
        raise SystemExit(f"Port {port} {reason}. Run `make serve PORT={free_port()}`.") from error


def free_port() -> int:
    """A port that can be used now."""
    for port in range(8001, 8100):
        try:
            ThreadingHTTPServer((HOST, port), SimpleHTTPRequestHandler).server_close()
        except OSError:
            continue
        return port
    return 0


def main(port: str) -> int:
    """Serve the site until Ctrl-C. Returns the exit status of the build if it failed."""
    with server(port) as site:  # before the build, which takes longer
        try:
            built = subprocess.run([sys.executable, Path(__file__).with_name("make_site.py")])
            if built.returncode:
                return built.returncode
            print(f"The site: http://{HOST}:{port}. Stop it with Ctrl-C.", flush=True)
            site.serve_forever()
        except KeyboardInterrupt:
            return 0
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

"""The browser of the browser tests. As a program, it reports a missing one before a long build."""

import os
import shutil
import sys

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def find() -> str:
    """The path of the browser: BROWSER_PATH, or a Chromium or Chrome on the PATH.

    Raises:
        FileNotFoundError: There is none.
    """
    named = os.environ.get("BROWSER_PATH")
    found = shutil.which(named) if named else next(filter(None, map(shutil.which, NAMES)), None)
    if found:
        return found
    reason = f"BROWSER_PATH is {named!r}, which is not a program" if named else "It was not found"
    raise FileNotFoundError(
        f"The browser tests need Chromium or Chrome. {reason}. Install it, or set BROWSER_PATH to "
        f"the path of the program. Looked for: {', '.join(NAMES)}."
    )


if __name__ == "__main__":
    try:
        find()
    except FileNotFoundError as error:
        sys.exit(str(error))

"""Files that the documents name, in backticks or as a link's target, exist: a reader follows them."""

import os
import re
import sys
from pathlib import Path

NAME = re.compile(r"`([\w./-]+\.(?:rs|sh|py|toml|md|svg))(?:::\w+)?`|\]\(([\w./-]+)(?:#[\w-]*)?\)")


def tree():
    """Every file of the project, by its path from the root."""
    for directory, below, files in os.walk("."):
        below[:] = (name for name in below if name not in ("target", ".git"))
        for name in files:
            yield os.path.normpath(os.path.join(directory, name))


def broken(document, text, files):
    """The names in `text`, a document at `document`, that end no path in `files`."""
    for line, content in enumerate(text.splitlines(), 1):
        for name, target in NAME.findall(content):
            if target and not (Path(document).parent / target).exists():
                yield f"{document}:{line}: nothing is at {target}"
            elif name and not any(file == name or file.endswith("/" + name) for file in files):
                yield f"{document}:{line}: no file is called {name}"


def main():
    files = list(tree())
    for wrong in ("`nowhere/at_all.rs`", "[x](nowhere.md)", "`nowhere.rs::f`"):
        if not list(broken("README.md", wrong, files)):
            sys.exit(f"the check does not notice {wrong}")
    found = [
        error
        for document in files
        if document.endswith(".md")
        for error in broken(document, Path(document).read_text(), files)
    ]
    print("\n".join(found) or "every file that a document names is there")
    sys.exit(bool(found))


main()

"""`python -m charter` is the command `charter`."""

from __future__ import annotations

from charter.cli import main

if __name__ == "__main__":
    main()

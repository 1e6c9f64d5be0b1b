"""`python -m proeftuin` is the command `proeftuin`."""

from proeftuin.cli import main

if __name__ == "__main__":
    main()

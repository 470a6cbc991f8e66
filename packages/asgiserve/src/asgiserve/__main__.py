"""``python -m asgiserve``: the same as the command ``asgiserve``."""

from .cli import main

if __name__ == "__main__":
    main(prog_name="asgiserve")

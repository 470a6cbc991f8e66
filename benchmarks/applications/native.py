"""The command line of the servers that are started by a program of one's own."""

import argparse


def arguments() -> argparse.Namespace:
    """Read the command line: ``port``, ``loop`` (a name) and ``access_log`` (whether)."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--loop", choices=["uvloop", "asyncio"], default="uvloop")
    parser.add_argument("--access-log", action="store_true")
    return parser.parse_args()

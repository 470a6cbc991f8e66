"""What the applications say, the same for all of them."""

import os

HELLO = b"Hello, world!"
LARGE = b"x" * 1024 * 1024
CHUNK = b"x" * 1024
CHUNKS = 100

#: The size of the pieces in which Starlette's FileResponse reads a file.
PIECE = 64 * 1024

#: A file with LARGE in it; the program that measures writes it and says where it is.
FILE = os.environ.get("BENCHMARK_FILE", "")

"""``python -m asgiweb`` is the command ``asgiweb``."""

import sys

from .cli import main

sys.exit(main())

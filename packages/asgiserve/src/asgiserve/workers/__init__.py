"""Several processes: the parent that starts, watches and replaces workers, and what a worker does for it."""

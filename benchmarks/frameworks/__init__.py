"""The benchmarks of frameworks: the same small application in each, in one process and behind servers."""

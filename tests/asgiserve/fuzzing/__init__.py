"""Fuzzing of asgiserve: generated requests, cut and mutated, and generated applications.

`grammar` makes requests with Hypothesis, and `oracle` says what each input means, by the grammar of the RFCs
(`abnf`) and the server's stated deviations from it (`deviations`). `in_process` and real servers answer
them, and `properties` holds the answers against the oracle. `coverage` lets atheris look for inputs that
reach new code; what it found before is kept in `corpus.txt`, and each run of the tests replays it.
"""

"""``make bench``: every benchmark, one after the other."""

from benchmarks.etl.__main__ import main

main()

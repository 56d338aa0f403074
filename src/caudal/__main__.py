"""Lets ``python -m caudal`` run the command line."""

from caudal.cli import main

main()

"""`python -m kvmc.cli`."""

from kvmc.cli import main

main()

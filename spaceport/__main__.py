"""`python -m spaceport`: the command line."""

from spaceport.cli import main

main()

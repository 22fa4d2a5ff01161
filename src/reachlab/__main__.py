"""`python -m reachlab`."""

from reachlab.cli import main

if __name__ == "__main__":
    main()

"""`python -m ptbench` is the command `ptbench`."""

from ptbench.cli import main

if __name__ == "__main__":
    main()

"""`python -m ganlab`: compose, check, train."""

from ganlab.tasks.launch import main

if __name__ == "__main__":
    main()

"""`python -m ganlab.augment run=outputs/…`: new samples near given ones, by way of their codes."""

from ganlab.tasks.augment import main

if __name__ == "__main__":
    main()

"""`python -m ganlab.explore run=outputs/…`: a page on this machine to play with a trained model."""

from ganlab.tasks.explore import main

if __name__ == "__main__":
    main()

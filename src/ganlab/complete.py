"""`python -m ganlab.complete run=outputs/… mask=center`: the hidden part of images, by a trained generator."""

from ganlab.tasks.complete import main

if __name__ == "__main__":
    main()

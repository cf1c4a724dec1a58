"""`python -m ganlab.evaluate`: scores of a trained run, or of a folder of images, each with its protocol."""

from ganlab.tasks.evaluate import main

if __name__ == "__main__":
    main()

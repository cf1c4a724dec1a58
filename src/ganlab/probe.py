"""`python -m ganlab.probe run=outputs/…`: what can be read from a model's codes, beside raw pixels and PCA."""

from ganlab.tasks.probe import main

if __name__ == "__main__":
    main()

"""`python -m ganlab.export run=outputs/…`: a trained network as a file that runs without ganlab."""

from ganlab.tasks.export import main

if __name__ == "__main__":
    main()

"""`python -m ganlab.compare`: finished runs beside each other, mean and deviation over seeds."""

from ganlab.tasks.compare import main

if __name__ == "__main__":
    main()

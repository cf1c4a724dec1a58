"""Sweeps: their jobs, what each may use of the machine, what became of them, and where values to try come from."""

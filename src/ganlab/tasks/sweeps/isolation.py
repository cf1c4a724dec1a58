"""A job that trains in a process which goes on: what it changes of the process is put back."""

import gc
import logging
import os
import random
import signal
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


@contextmanager
def put_back() -> Iterator[None]:
    """Random states, threads, torch's switches, environment, signal handlers, warnings and memory are as before."""
    environment, path = dict(os.environ), list(sys.path)
    states = random.getstate(), np.random.get_state(), torch.random.get_rng_state()
    threads, dtype = torch.get_num_threads(), torch.get_default_dtype()
    deterministic = torch.are_deterministic_algorithms_enabled()
    only_warns = torch.is_deterministic_algorithms_warn_only_enabled()
    cudnn = torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic
    precision = torch.get_float32_matmul_precision()
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    level = logging.getLogger().level
    try:
        with warnings.catch_warnings():
            yield
    finally:
        logging.captureWarnings(False)
        logging.getLogger().setLevel(level)
        for number, handler in handlers.items():
            signal.signal(number, handler)
        random.setstate(states[0])
        np.random.set_state(states[1])
        torch.random.set_rng_state(states[2])
        torch.set_num_threads(threads)
        torch.set_default_dtype(dtype)
        torch.use_deterministic_algorithms(deterministic, warn_only=only_warns)
        torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic = cudnn
        torch.set_float32_matmul_precision(precision)
        os.environ.clear()
        os.environ.update(environment)
        sys.path[:] = path
        _free()


def _free() -> None:
    """Models hang in cycles with their trainer until they are collected."""
    gc.collect()
    if torch.cuda.is_initialized():
        torch.cuda.empty_cache()

"""What a user did wrong, said in a line or two.

Every exception here is a mistake of the user's or of their machine, never a fault of
the program: the command line shows its message without a traceback and ends with its
exit code. A message says what is wrong, where, and what to do.
"""


class GanlabError(Exception):
    """Base of all mistakes that are shown as a line and not as a traceback."""

    exit_code = 2


class ConfigError(GanlabError):
    """A key, value or combination of the configuration that cannot be."""


class DataError(GanlabError):
    """Files that are missing, empty, unreadable or not what the configuration declares."""


class CheckpointError(GanlabError):
    """A run folder or checkpoint that is absent, damaged or of another model."""


class DeviceError(GanlabError):
    """More or other devices than the machine has."""


class OutputError(GanlabError):
    """A folder or file that cannot be written."""


class TrainingError(GanlabError):
    """Training that cannot go on: a loss or weight that is not a finite number."""

    exit_code = 1


def innermost(error: BaseException) -> BaseException:
    """The exception that others were raised from."""
    while error.__cause__ is not None:
        error = error.__cause__
    return error


def reason_of(error: BaseException) -> str:
    """What an exception says, in a line."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]

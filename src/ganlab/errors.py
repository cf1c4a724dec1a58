"""What a user did wrong, said in a line or two.

Every exception here is a mistake of the user's or of their machine, never a fault of
the program: the command line shows its message without a traceback and ends with its
exit code. A message says what is wrong, where, and what to do.
"""

LONGEST_LINE = 800
LONGEST_WORD = 100


class GanlabError(Exception):
    """Base of all mistakes that are shown as a line and not as a traceback."""

    exit_code = 2

    def __str__(self) -> str:
        """The message as a terminal can show it: what was typed, or a file's name, may hold anything."""
        return "\n".join(shortened(printable(line), LONGEST_LINE) for line in super().__str__().split("\n"))


def printable(text: str) -> str:
    """The text in one line, with what is no visible character as an escape: \\n, \\x1b."""
    escaped = (c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text)
    return "".join(escaped)


def shortened(text: str, most: int) -> str:
    """At most so many characters of the text."""
    return text if len(text) <= most else text[: most - 1] + "…"


def typed(word: str) -> str:
    """A word of a command line as a message shows it: in one line, and not all of a very long one."""
    return shortened(printable(word), LONGEST_WORD)


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
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__

"""Explains missing libraries."""

OURS = frozenset({"catdog", "training"})
LONGEST_REASON = 200  # characters


def sentence(error: ImportError) -> str | None:
    """What is missing and what to do; None where it is a part of catdog itself, which no installation mends."""
    library = (error.name or "").partition(".")[0]
    if library in OURS:
        return None
    if isinstance(error, ModuleNotFoundError):
        return f"this needs {library}, which isn't installed; run `make trainer`"
    reason = str(error).partition("\n")[0][:LONGEST_REASON]  # of TensorFlow it is a whole trace
    return (
        f"{library or 'a library'} is installed, but can't be imported ({reason});"
        " remove the environment and install it again: make clean trainer"
    )

"""The one exception that means: the user's input is at fault, and here is how."""


class BadInput(ValueError):
    """Input that cannot be used.

    The message is one sentence that names the file, the layer and the value, and what would be
    right. The command line prints it and exits with status 2; it never shows a traceback for it.
    """

"""What reaches a user as a sentence instead of a traceback."""

import errno


class UserError(Exception):
    """Something outside the program is wrong and a person can mend it.

    The message says what is wrong, where (file, key, value) and what to do.
    """


def sentence(error: OSError) -> str:
    """What the operating system refused, where, and what to do."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        advice = "make room"
    elif error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        advice = "give yourself the right, or name another folder (`root` of an overlay)"
    else:
        advice = "put it right"
    return f"{error.filename or 'the output'}: {error.strerror or error}; {advice} and run the same command again"

"""The one exception that reaches a user as a sentence instead of a traceback."""


class UserError(Exception):
    """Something outside the program is wrong and a person can mend it.

    The message says what is wrong, where (file, key, value) and what to do.
    """

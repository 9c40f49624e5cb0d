"""All that makes the book: runs and their records, data sets, training, studies, analysis, theory, pages.

It is built on the library :mod:`anytime_core`, which never imports it. Its command is ``anytime``.
"""

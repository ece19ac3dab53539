"""What goes wrong with an engine, in words for whoever has asked for it."""


class EngineError(Exception):
    """An engine is missing or does not work here: one line, with what to do about it."""

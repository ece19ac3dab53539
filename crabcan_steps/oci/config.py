"""config.json, held against the table of its fields (form.py). What it must mean, checks.py looks at."""
from . import checks, checks_linux, fields, fields_linux, fields_resources
from .checks import Invalid, refuse  # noqa: F401: Invalid, for those who call us
from .form import Form
from .reading import load, parse  # noqa: F401

TABLE = fields.FIELDS + fields_linux.FIELDS + fields_resources.FIELDS
FORM = Form(TABLE)
NOBODYS = {path for path, _, _, by, _ in TABLE if by == fields.NOBODY}  # what we do not do


def check(config, startable=True):
    """Checks a whole configuration; returns warnings, a line each. Raises Invalid.

    To be created a container needs no `process` yet; to be startable it does."""
    FORM.walk("", config, "")
    if startable and config.get("process") is None:
        refuse("process", "is missing")
    spaces, warnings = checks.everything(config)
    linux = config.get("linux") or {}
    checks_linux.everything(linux, spaces, config)
    for name, value in linux.items():
        if value and f"linux.{name}" in NOBODYS:
            refuse(f"linux.{name}", "is known, but nothing here acts on it")
    return warnings


def check_resources(resources):
    """Checks what is the `linux.resources` of a configuration, for `update`. Raises Invalid."""
    FORM.one("object", None, "linux.resources", resources, "linux.resources")
    checks_linux.resources(resources, "linux.resources")

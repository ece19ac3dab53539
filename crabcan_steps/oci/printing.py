"""features and spec: what the runtime can do, and a configuration to begin with."""
import json
import os

from .state import Refused


def features(options):
    from .features import features as all_of_them
    print(json.dumps(all_of_them(), indent=2))
    return 0


def spec(options):
    """Writes config.json, but over nothing."""
    from .template import template
    path = os.path.join(options.get("bundle") or ".", "config.json")
    try:
        with open(path, "x") as file:
            json.dump(template(options.get("rootless", False)), file, indent=2)
            file.write("\n")
    except FileExistsError:
        raise Refused(f"File {path} exists. Remove it first") from None
    return 0

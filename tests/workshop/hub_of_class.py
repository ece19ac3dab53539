"""The Hub's configuration for a test: the class's own, but servers without systemd, and other places."""
import os
from pathlib import Path

from crabcan_workshop.classroom import settings

settings.STATE = Path(os.environ["CLASS_STATE"])
settings.CHOSEN = settings.STATE / "class.json"
settings.COURSE = Path(__file__).resolve().parents[2]
settings.HUB = int(os.environ["CLASS_PORT"])

from crabcan_workshop.classroom import hub  # noqa: E402

hub.SERVICES.clear()  # they have tests of their own, and ports that another Hub's may have here
config = get_config()  # noqa: F821  the Hub's own
hub.configure(config, settings.load())
config.JupyterHub.spawner_class = "simple"
config.JupyterHub.hub_connect_url = f"http://127.0.0.1:{settings.HUB}"

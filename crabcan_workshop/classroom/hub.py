"""The Hub's configuration: jupyterhub -f hub.py reads it; what was chosen is in class.json.

A learner's server is a unit of systemd's, in the learner's slice and network namespace: accounts.py
and net.py have made them.
"""
import os
import sys

from jupyterhub.proxy import Proxy
from systemdspawner import SystemdSpawner
from traitlets import Dict, default, validate

from crabcan_workshop.classroom import settings
from crabcan_workshop.classroom.login import ClassAuthenticator
from crabcan_workshop.classroom.services import SERVICES

PYTHON, MODULE = str(settings.COURSE / ".venv/bin/python"), str(settings.COURSE / "tools/module.py")
INSIDE = f"http://{settings.GATE}:{settings.INSIDE}"
LAB = ("--ServerApp.answer_yes=True", "--KernelManager.transport=ipc", "--LabApp.extension_manager=readonly",
       "--LabApp.news_url=None", "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
       f"--LabApp.app_settings_dir={settings.COURSE}/crabcan_workshop/lab/settings")
# No admin of the Hub's: those may open learners' servers, and a page there would have their powers.
TEACHER = ["admin-ui", "list:users", "read:users", "read:servers", "servers", "list:services", "read:services",
           "access:services", "read:hub"]


class Routes(Proxy):
    """The proxy's routes: they are written down when the class is made (proxy.py), and stay."""

    kept = Dict()

    @default("should_start")
    def _no(self):
        return False

    async def add_route(self, routespec, target, data):
        self.kept[routespec] = {"routespec": routespec, "target": target, "data": data}

    async def delete_route(self, routespec):
        self.kept.pop(routespec, None)

    async def get_all_routes(self):
        return self.kept


class ClassSpawner(SystemdSpawner):
    """A learner's server: always the same port, in a network namespace where nothing else has it."""

    @validate("port")
    def _one_port(self, proposal):
        return settings.SERVER

    async def start(self):
        learner = next((one for one in settings.load()["learners"] if one["name"] == self.user.name), None)
        if not learner:
            raise ValueError(f"{self.user.name} is no learner of this class and has no server")
        self.ip = settings.address(learner)
        self.slice = f"user-{settings.uid(learner)}.slice"
        self.unit_extra_properties = properties(learner)
        return await super().start()


def properties(learner):
    """What systemd does for a server, beside the slice's limits (accounts.py).

    No new privileges would take newuidmap's, without which nobody has a container of one's own.
    Nothing is put over parts of /proc: the kernel then lets no container have a /proc."""
    uid, name = settings.uid(learner), settings.account(learner["name"])
    return {"NetworkNamespacePath": f"/run/netns/{name}", "Requires": f"user@{uid}.service",
            "After": f"user@{uid}.service", "PrivateIPC": "yes", "ProtectProc": "invisible",
            "TemporaryFileSystem": rooms(), "RestrictSUIDSGID": "no", "UMask": "0077",
            "KillMode": "control-group", "OOMScoreAdjust": "200", "LimitNOFILE": "8192:65536"}


def rooms():
    """Memory in the place of what all may write: private, counted as the learner's, and bounded."""
    return " ".join(f"{path}:size={size},mode=1777" for path, size in
                    (("/tmp", "256M"), ("/var/tmp", "64M"), ("/dev/shm", "64M"), ("/run/lock", "1M")))


def configure(c, chosen):
    """Puts all of it into the Hub's configuration."""
    names = {learner["name"] for learner in chosen["learners"]}
    c.JupyterHub.authenticator_class = ClassAuthenticator
    c.JupyterHub.spawner_class = ClassSpawner
    c.JupyterHub.proxy_class = Routes
    c.Authenticator.allowed_users = names | {chosen["teacher"]}
    c.Authenticator.admin_users = set()
    c.JupyterHub.bind_url = f"http://127.0.0.1:{chosen['port']}"
    c.JupyterHub.hub_bind_url = f"http://127.0.0.1:{settings.HUB}"
    c.JupyterHub.hub_connect_url = INSIDE
    c.JupyterHub.db_url = f"sqlite:///{settings.STATE}/jupyterhub.sqlite"
    c.JupyterHub.cookie_secret_file = str(settings.STATE / "cookie_secret")
    c.JupyterHub.cleanup_servers = False  # a Hub that ends or is killed ends nobody's work
    c.JupyterHub.template_vars = {"announcement": chosen.get("message", "")}
    c.JupyterHub.services = [culler(chosen), *(service(entry, chosen) for entry in SERVICES)]
    c.JupyterHub.load_roles = [*roles(chosen, names)]
    spawner(c, chosen)


def spawner(c, chosen):
    c.Spawner.cmd = [PYTHON, "-I", MODULE, "jupyterhub.singleuser"]
    c.Spawner.args = [*LAB]
    c.Spawner.notebook_dir = str(settings.HOMES / "{username}" / "my-container")
    c.Spawner.default_url = "/lab"
    c.Spawner.start_timeout = c.Spawner.http_timeout = 180
    c.Spawner.env_keep = ["LANG"]
    c.Spawner.environment = {"PATH": f"{settings.COURSE}/.venv/bin:/usr/local/bin:/usr/bin:/bin",
                             "CRABCAN_CLASS_URL": INSIDE, "LANG": "C.UTF-8",
                             "JUPYTERHUB_ACTIVITY_INTERVAL": "30",  # seconds; after a minute without, --idle 1 ends it
                             "XDG_RUNTIME_DIR": runtime, "HOME": home}
    c.SystemdSpawner.username_template = settings.PREFIX + "{USERNAME}"
    c.SystemdSpawner.unit_name_template = "crabcan-class-{USERNAME}"
    c.SystemdSpawner.disable_user_sudo = False  # see properties()
    c.SystemdSpawner.default_shell = "/bin/bash"


def runtime(spawner):
    import pwd
    return f"/run/user/{pwd.getpwnam(settings.account(spawner.user.name)).pw_uid}"


def home(spawner):
    return str(settings.home(spawner.user.name))


def culler(chosen):
    return {"name": "culler", "command": [PYTHON, "-I", MODULE, "jupyterhub_idle_culler",
                                          f"--timeout={chosen['idle'] * 60}", "--cull-every=60"]}


def service(entry, chosen):
    """A service of ours, as the Hub wants it."""
    made = {"name": entry["name"], "url": f"http://127.0.0.1:{entry['port']}", "cwd": str(settings.COURSE),
            "command": [PYTHON, "-I", MODULE, entry["module"]], "oauth_no_confirm": True,
            "environment": {"CRABCAN_HOMES": str(settings.HOMES), "CRABCAN_TEACHER": chosen["teacher"]}}
    if entry.get("user", "root") != "root":
        made["user"] = entry["user"]
    return made


def roles(chosen, names):
    """Who may what, beside what the Hub grants everybody: oneself."""
    yield {"name": "culler", "scopes": ["list:users", "read:users:activity", "read:servers", "delete:servers"],
           "services": ["culler"]}
    yield {"name": "teacher", "scopes": TEACHER, "users": [chosen["teacher"]]}
    reached = [f"access:services!service={entry['name']}" for entry in SERVICES
               if entry.get("learners")]
    if reached:
        yield {"name": "user", "scopes": ["self", *reached]}
        yield {"name": "server", "scopes": ["users:activity!user", "access:servers!server", *reached]}
    for entry in SERVICES:
        yield {"name": f"service-{entry['name']}", "scopes": entry.get("scopes", []), "services": [entry["name"]]}


if "get_config" in globals():
    os.chdir(settings.STATE)
    sys.dont_write_bytecode = True
    configure(get_config(), settings.load())  # noqa: F821  the Hub's own

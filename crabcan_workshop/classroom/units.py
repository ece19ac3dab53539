"""What systemd is told: the Hub, the door, the network, and how much a learner may have."""
from . import settings

PYTHON = f"{settings.COURSE}/.venv/bin/python -I {settings.COURSE}/tools/module.py"
DISKS = """[Unit]
Description=The homes of the crabcan class
Before=crabcan-class.service
RequiresMountsFor=/var/lib /srv

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart={python} crabcan_workshop.classroom.homes up
ExecReload={python} crabcan_workshop.classroom.homes up
ExecStop={python} crabcan_workshop.classroom.homes down

[Install]
WantedBy=multi-user.target
"""
NET = """[Unit]
Description=The network of the crabcan class
Before=crabcan-class.service crabcan-class-proxy.service

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart={python} crabcan_workshop.classroom.net up
ExecReload={python} crabcan_workshop.classroom.net up
ExecStop={python} crabcan_workshop.classroom.net down

[Install]
WantedBy=multi-user.target
"""
HUB = """[Unit]
Description=JupyterHub of the crabcan class
Requires=crabcan-class-net.service crabcan-class-disks.service
After=crabcan-class-net.service crabcan-class-disks.service

[Service]
ExecStart={python} jupyterhub -f {course}/crabcan_workshop/classroom/hub.py
Environment=PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8
WorkingDirectory={state}
KillMode=mixed
Restart=always
RestartSec=2
CPUWeight=500
OOMScoreAdjust=-500

[Install]
WantedBy=multi-user.target
"""
PROXY = """[Unit]
Description=The door of the crabcan class
Requires=crabcan-class-net.service
After=crabcan-class-net.service

[Service]
ExecStartPre=/usr/sbin/nginx -q -t -e stderr -c {etc}/nginx.conf
ExecStart=/usr/sbin/nginx -e stderr -c {etc}/nginx.conf -g "daemon off;"
ExecReload=/usr/sbin/nginx -q -t -e stderr -c {etc}/nginx.conf
ExecReload=/bin/kill -HUP $MAINPID
Restart=always
RestartSec=2
CPUWeight=500
OOMScoreAdjust=-500
PrivateTmp=yes

[Install]
WantedBy=multi-user.target
"""
SLICE = """# A learner of the crabcan class: all that is theirs, together
[Slice]
MemoryMax={memory}M
MemorySwapMax=0
CPUQuota={cpu}%
TasksMax={tasks}
IOWeight=50
"""
USER = """# The learner's own systemd, which gives containers their cgroups: in the same rooms as the server
[Unit]
StopWhenUnneeded=yes

[Service]
Delegate=cpu cpuset io memory pids
NetworkNamespacePath=/run/netns/{account}
TemporaryFileSystem=/tmp:size=64M,mode=1777 /var/tmp:size=64M,mode=1777 /dev/shm:size=64M,mode=1777
PrivateIPC=yes
"""
PROFILE = f"""# From the crabcan class: its commands in a learner's terminal.
case $HOME in {settings.HOMES}/*) PATH={settings.COURSE}/.venv/bin:$PATH ;; esac
"""
SYSTEM = "/etc/systemd/system"


def files(chosen):
    """{path: text} of all that is written outside of the class's own directories."""
    words = {"python": PYTHON, "course": settings.COURSE, "state": settings.STATE, "etc": settings.ETC}
    made = {f"{SYSTEM}/crabcan-class-disks.service": DISKS.format(**words),
            f"{SYSTEM}/crabcan-class-net.service": NET.format(**words),
            f"{SYSTEM}/crabcan-class.service": HUB.format(**words),
            f"{SYSTEM}/crabcan-class-proxy.service": PROXY.format(**words),
            "/etc/profile.d/crabcan-class.sh": PROFILE,
            "/etc/modules-load.d/crabcan-class.conf": "# From the crabcan class\noverlay\nloop\nveth\n"}
    for learner in chosen["learners"]:
        uid = settings.uid(learner)
        made[f"{SYSTEM}/user-{uid}.slice.d/crabcan-class.conf"] = SLICE.format(**chosen["limits"])
        made[f"{SYSTEM}/user@{uid}.service.d/crabcan-class.conf"] = USER.format(
            account=settings.account(learner["name"]))
    return made


NAMES = ("crabcan-class-disks", "crabcan-class-net", "crabcan-class", "crabcan-class-proxy")

"""What learners try on each other and on the machine: a line of shell each, and what must come of it.

Each is run by one learner in a cell while another works. `no` must not be in what it prints, `yes` must.
Files that nobody else may read are asked for by their names: a listing might hide them and not keep them.
"""
STEAL = "import glob, os\nfor path in glob.glob('/proc/[0-9]*/environ'):\n try:\n  if b'TOKEN' in open(path, 'rb')" \
    ".read() and os.stat(path).st_uid != os.getuid(): print('stolen', path)\n except OSError: pass\nprint('looked')"
FORKS = "import os, time\nmade = 0\nwhile 1:\n try: pid = os.fork()\n except OSError as e: print('stopped at', made, e); " \
    "break\n if pid == 0: time.sleep(30); os._exit(0)\n made += 1\nos.system('pkill -P %d' % os.getpid()) if made < 5000 " \
    "else None"
HOG = "a = []\nwhile 1: a.append(bytearray(os.urandom(1 << 20) * 10))"
KNOCK = "import socket\nfor where in (('10.77.1.{victim}', 8888), ('10.77.0.1', 22), ('10.77.0.1', 8085), " \
    "('127.0.0.1', 8000), ('10.77.0.1', 8000)):\n s = socket.socket(); s.settimeout(2)\n try: s.connect(where); " \
    "print('reached', where)\n except OSError as e: print('closed', where)"
GATE = "import urllib.request, urllib.error\nfor path in ('/hub/login', '/user/{name}/api', '/hub/api/users', " \
    "'/book/'):\n try: print(path, urllib.request.urlopen('http://10.77.0.1:8081' + path, timeout=5).status)\n " \
    "except urllib.error.HTTPError as e: print(path, e.code)"


def python(script, **words):
    for key, value in words.items():
        script = script.replace("{" + key + "}", str(value))
    return f"python3 -c {quoted(script)}"


def quoted(text):
    return "'" + text.replace("'", "'\\''") + "'"


def attacks(victim, number, pid):
    """(name, line of shell, words that must be said, words that must not be)."""
    home = f"/srv/crabcan-class/{victim}"
    yield "read another's home", f"cat {home}/my-container/secret.txt; ls {home}", ["Permission denied"], ["treasure"]
    yield "list who is here", "ls /srv/crabcan-class", ["Permission denied"], [victim]
    yield "read what is the Hub's", ("cat /etc/crabcan-class/class.json /var/lib/crabcan-class/words.json "
                                     "/var/lib/crabcan-class/jupyterhub.sqlite /var/lib/crabcan-class/cookie_secret"), \
        ["Permission denied"], ["scrypt", "learners", "SQLite"]
    yield "kill another's server", f"kill -9 {pid}; echo $?", [], ["\n0\n"]
    yield "see another's processes", f"ls -d /proc/{pid}; ps -A -o user= | sort -u", [], [f"class-{victim}", f"/proc/{pid}\n"]
    yield "steal a token from a process", python(STEAL), ["looked"], ["stolen"]
    yield "reach another's server, or the machine", python(KNOCK, victim=number), ["closed"], ["reached"]
    yield "ask the Hub for others", python(GATE, name=victim), ["/hub/api/users 403"], [" 200"]
    yield "become root", "sudo -n id; su -c id </dev/null; echo tried", ["tried"], ["uid=0"]
    yield "leave the walls by the own systemd", (
        "systemd-run --user --pipe -q sh -c 'ip -br addr; ls /srv/crabcan-class /tmp'; echo tried"), \
        ["tried", "10.77.1."], [victim, "cl-"]
    yield "leave the walls by at or cron", "echo id | at now; crontab -l; echo '* * * * * id' | crontab -; echo tried", \
        ["tried"], ["job 1"]
    yield "fill the disk", ("dd if=/dev/zero of=big bs=1M 2>&1 | tail -1; df -m . | tail -1; rm big; "
                            "dd if=/dev/zero of=/tmp/big bs=1M count=300 2>&1 | grep -o 'No space.*'; rm /tmp/big"), \
        ["No space left"], []
    yield "fill what all may write to", ("find / /run -xdev -perm -0002 \\( -type d -o -type f \\) -writable "
                                         "2>/dev/null | grep -vxE '/tmp|/var/tmp|/run/lock'; "
                                         "find /tmp /var/tmp /run/lock /dev/shm -maxdepth 0 -printf '%F\\n' | "
                                         "sort | uniq -c"), ["4 tmpfs"], ["/"]
    yield "bring down the machine by forks", python(FORKS), ["stopped at"], []
    yield "take the machine's memory", python("import os\n" + HOG) + "; echo ended with $?", ["ended with 137"], []
    yield "a container as root", "crabcan run --memory 64m -- sh -c 'id -u; cat /etc/crabcan-class/class.json; hostname x'", \
        ["0\n"], ["learners"]

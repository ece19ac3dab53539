"""After a class: the machine's plug is pulled, the class stops, starts, and goes."""
import os
import subprocess

from class_door import GIVEN, ROOT, SAFE
from class_ground import CHECKOUT, NAMES, compare, patient, people, say, shell, workshop

BACKUP = "/var/tmp/work.tar.gz"


def unplugged():
    """A notebook is saved as the lab saves it, and a moment later the machine is off: nothing was written back."""
    one = people(NAMES[1:2], SAFE, GIVEN)[0]
    cell = {"cell_type": "code", "source": "6 * 7", "metadata": {}, "outputs": [], "execution_count": None, "id": "a"}
    book = {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [cell]}
    saved = one.call("PUT", "/api/contents/mine.ipynb", json={"type": "notebook", "format": "json", "content": book})
    say(saved.status_code == 201, "a notebook is saved", saved.text)
    subprocess.Popen("sleep 1; echo o >/proc/sysrq-trigger", shell=True, start_new_session=True)


def restarted():
    """The machine comes up by itself, with the class, and without a network."""
    torn = shell("dmesg | grep -ciE 'recovery complete|recovering journal|orphan cleanup'").stdout.strip()
    say(torn != "0", "the machine was torn off in the middle of its work")
    say(patient(lambda: people(NAMES[1:2], SAFE, GIVEN)), "the class is there after the start")
    one = people(NAMES[1:2], SAFE, GIVEN)[0]
    say("6 * 7" in one.call("GET", "/api/contents/mine.ipynb").text, "what was saved is there")
    say("treasure" in one.run("print(open('../secret.txt').read())"), "so is the rest of the work")
    said = one.shell("workshop check 8 --dir ~/my-container")
    say("exercises 1 and 2 passed" in said, "check 8 from a cell", said)


def stopped():
    workshop("--backup", BACKUP)
    say("./learner02/my-container/mine.ipynb" in shell(f"tar -tzf {BACKUP}").stdout, "the backup has the work")
    workshop("--stop")
    left = shell("ps -eo pid,user:20,args | grep -E 'class-|jupyterhub|crabcan-class' | grep -v grep; ip netns; "
                 "grep crabcan-class /proc/mounts; nft list tables | grep crabcan").stdout
    say(not left, "after --stop nothing runs", left)
    workshop("--start")


def removed():
    say(shell(f"{CHECKOUT}/workshop class --remove </dev/null").returncode == 1 and os.path.exists(ROOT), "--remove asks")
    workshop("--remove", "--yes")
    for path in (BACKUP, GIVEN, GIVEN + ".key"):
        os.remove(path)
    compare()

"""Chapter 3: a name of its own."""
import os

from conftest import closes
from crabcan_steps import ch03_hostname, linux
from crabcan_steps.ch03_hostname import ANIMALS, MOODS, invent


def test_a_name_of_its_own(matrix):
    closes(matrix, "name", 3)


def test_the_name_asked_for(who):
    before = os.uname().nodename
    assert who.run("uname", "-n", options=["--hostname", "web-1.example"]) == "web-1.example\n"
    assert os.uname().nodename == before


def test_the_name_stands_in_hosts_and_environment(who):
    out = who.run("sh", "-c", "cat /etc/hostname; echo $HOSTNAME; grep -c $HOSTNAME /etc/hosts",
                  options=["--hostname", "abc"])
    assert out.split() == ["abc", "abc", "1"]


def test_invented_names_are_names():
    for _ in range(500):
        mood, animal, number = invent().split("-")
        assert mood in MOODS and animal in ANIMALS and 0 <= int(number) < 100


def test_the_names_are_chosen_without_bias(monkeypatch):
    """A byte has 256 values, and each word of a kind must come of as many of them."""
    for place in range(3):
        counts = {}
        for byte in range(256):
            monkeypatch.setattr(linux, "urandom", lambda n: bytes(byte if at == place else 0 for at in range(n)))
            word = ch03_hostname.invent().split("-")[place]
            counts[word] = counts.get(word, 0) + 1
        assert len(set(counts.values())) == 1, counts

"""Chapter 3: the facts about the host name."""
import re

from .facts import came_up, collector, equal, must, property_of

FACTS, fact = collector()
name = property_of("name")


@fact(1, "the name that was asked for", "crabcan step 3 --hostname mine -- hostname")
def asked(machine):
    out = came_up(machine.crabcan("--hostname", "mine", sh="hostname")).out.strip()
    return equal(out, "mine", "prepare() keeps spec.hostname, and child() gives it to sethostname")


@fact(1, "a UTS namespace of its own", "crabcan step 3 -- readlink /proc/self/ns/uts; readlink "
      "/proc/self/ns/uts")
def namespace(machine):
    return name(machine, "the name inside is the machine's own")


@fact(1, "the other layers know the name", "crabcan step 3 -- env | grep HOSTNAME")
def known(machine):
    inside, variable = came_up(machine.crabcan(sh="hostname; echo $HOSTNAME")).out.split("\n")[:2]
    return equal(variable, inside, "an invented name must stand in spec.hostname too: chapter 1 "
                 "puts it into HOSTNAME, chapter 4 into /etc/hosts")


@fact(2, "an adjective, an animal and a number below 100", "crabcan step 3 -- hostname")
def invented(machine):
    from crabcan_steps.ch03_hostname import ANIMALS, MOODS
    seen = machine.script("from crabcan_steps.ch03_hostname import invent\n"
                          "print(*[invent() for _ in range(400)])")
    names = machine.names = came_up(seen).out.split()
    for text in names:
        words = re.fullmatch(r"([a-z]+)-([a-z]+)-(0|[1-9][0-9]*)", text)
        must(words, text,
             "the form is adjective-animal-number, with '-' between and no leading zero")
        must(words[1] in MOODS and words[2] in ANIMALS, text,
             "the words are those of MOODS and ANIMALS, in this order")
        must(int(words[3]) < 100, text, "the number has one or two digits")
    return names[0]


@fact(2, "every word is used, and names rarely repeat",
      "for i in 1 2 3; do crabcan step 3 -- hostname; done")
def varied(machine):
    from crabcan_steps.ch03_hostname import ANIMALS, MOODS
    parts = [text.split("-") for text in getattr(machine, "names", ()) if text.count("-") == 2]
    must(len(set(machine.names)) > 350, f"{len(set(machine.names))} different names in 400",
         "a name must not be the same each time: take random bytes")
    used = {mood for mood, _, _ in parts}, {animal for _, animal, _ in parts}
    must(len(used[0]) == len(MOODS) and len(used[1]) == len(ANIMALS),
         f"{len(used[0])} adjectives, {len(used[1])} animals",
         "some words never come: which remainder do you take?")
    return "400 names"

"""Chapter 3: the facts about the host name."""
import re

from crabcan_steps.ch03_hostname import ANIMALS, MOODS

from .facts import came_up, collector, drawn, equal, must, property_of, swallowed

FACTS, fact = collector()
name = property_of("name")


@fact(1, "the name that was asked for", "crabcan step 3 --hostname mine -- hostname")
def asked(machine):
    for wanted in drawn(), drawn():
        answer = machine.crabcan("--hostname", wanted, sh="hostname")
        if (answer.failed or {}).get("about") == "/proc/sys/kernel/hostname":
            must(False, answer.seen, "that is right where the kernel allows it, as it does to the "
                 "machine's own root; the room's root is none, so here it is the room that forbids it: "
                 "sethostname(2) does the same")
        seen = came_up(answer).out.removesuffix("\n")
        if seen != wanted and came_up(machine.crabcan("--hostname", drawn(), sh="hostname")) \
                .out.removesuffix("\n") == seen:
            must(False, seen, "it is the same whatever was asked for: prepare() keeps spec.hostname, "
                 "and child() gives it to sethostname")
        equal(seen, wanted, "prepare() keeps spec.hostname, and child() gives it to sethostname")
    return seen


@fact(1, "a UTS namespace of its own",
      "crabcan step 3 -- readlink /proc/self/ns/uts; readlink /proc/self/ns/uts")
def namespace(machine):
    return name(machine, "the name inside is the machine's own")


@fact(1, "the other layers know the name", "crabcan step 3 -- sh -c 'hostname; echo $HOSTNAME'")
def known(machine):
    out = came_up(machine.crabcan(sh="hostname; echo $HOSTNAME")).out
    must(out.count("\n") == 2, repr(out), "")
    inside, variable = out.split("\n")[:2]
    must(variable, "HOSTNAME is not set", "an invented name must stand in spec.hostname too: chapter "
         "1 puts it into HOSTNAME, chapter 4 into /etc/hosts")
    return equal(variable, inside, "the name in spec.hostname is another than the one that was set")


@fact(1, "what the kernel refuses is an error", "")
def failing(machine):
    return swallowed(machine, ["sethostname"])


@fact(2, "an adjective, an animal and a number below 100", "crabcan step 3 -- hostname")
def invented(machine):
    seen = machine.script("from crabcan_steps.ch03_hostname import invent\n"
                          "say(*[invent() for _ in range(400)])")
    names = machine.names = came_up(seen).out.split()
    must(names != ["None"] * 400, "None", "invent() returns nothing")
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
    must(getattr(machine, "names", None), "nothing was invented")
    parts = [text.split("-") for text in machine.names if text.count("-") == 2]
    well = all(re.fullmatch(r"[a-z]+-[a-z]+-[0-9]+", text) for text in machine.names)
    must(len(set(machine.names)) > 350, f"{len(set(machine.names))} different names in 400",
         "a name must not be the same each time: take random bytes")
    used = {mood for mood, _, _ in parts}, {animal for _, animal, _ in parts}
    must(len(used[0]) == len(MOODS) and len(used[1]) == len(ANIMALS),
         f"{len(used[0])} adjectives, {len(used[1])} animals",
         "some words never come: which remainder do you take?" if parts else "")
    numbers = {number for _, _, number in parts}
    must(len(numbers) > 50, f"{len(numbers)} different numbers", "the number is from 0 to 63")
    again = came_up(machine.crabcan(sh="hostname")).out.strip()
    must(again in machine.names or re.fullmatch(r"[a-z]+-[a-z]+-[0-9]+", again), again,
         "a container without --hostname gets a name of invent()'s" if well else "")
    return "400 names"

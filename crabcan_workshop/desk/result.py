"""What a check found out about a chapter."""
FAULTS = ("wrong", "unreached")


class Result:
    """Facts, and what came to light on the way: exceptions, what the code printed, notes."""

    def __init__(self, chapter):
        self.chapter, self.facts, self.error, self.waiting = chapter, [], None, []
        self.raised, self.printed, self.notes = [], "", []

    def add(self, found):
        """One line of the judge's."""
        for kind, words in found.items():
            if kind == "fact":
                self.facts.append(words)
            elif kind == "note":
                self.notes += [words] if words not in self.notes else []
            elif kind == "printed":  # in each room, if it is at import
                self.printed += words["text"] if words["text"] not in self.printed else ""
            elif words not in self.raised:
                self.raised.append(words)

    def settle(self):
        """A fact that is right when the other exercise's functions are ours is not this exercise's
        fault, if the other has faults of its own: beginning one spoils no other."""
        faulty = {fact["exercise"] for fact in self.facts
                  if fact["state"] in FAULTS and fact.get("alone") != "right"}
        for fact in self.facts:
            if fact.get("alone") != "right":
                continue
            if faulty - {fact["exercise"]}:
                fact["state"], fact["why"] = "right", "with our functions for the other exercise"
            else:
                fact["why"] = fact["why"] or "it is right alone, and not with your other exercise"

    @property
    def passed(self):
        """The numbers of the exercises that are done (the investigation is not ours to say).

        What could not be tried is not done, unless the machine lacks what it is about."""
        if self.error or any(fact["state"] == "harm" for fact in self.facts):
            return []
        done = []
        for number, _ in enumerate(self.chapter.exercises, 1):
            facts = [fact for fact in self.facts if fact["exercise"] == number]
            if facts and number not in self.waiting and all(
                    fact["state"] == "right" or fact["state"] == "absent" and fact["spare"]
                    for fact in facts):
                done.append(number)
        return done

    @property
    def good(self):
        return len(self.passed) == sum("targets" in exercise for exercise in self.chapter.exercises)

    def data(self):
        return {"chapter": self.chapter.number, "good": self.good, "passed": self.passed,
                "error": self.error, "raised": self.raised, "printed": self.printed[:4000],
                "notes": self.notes, "to do": self.waiting, "facts": self.facts}

    def held_up(self):
        """Exercises without a fault that are not passed: what is lacking is the machine's."""
        for number, _ in enumerate(self.chapter.exercises, 1):
            states = {fact["state"] for fact in self.facts if fact["exercise"] == number}
            if states == {"right", "absent"} and number not in self.passed and not self.error:
                yield number

"""What is remembered of a check: what is passed, what stops the learner, and since when."""
import time


def stop(result):
    """What is in the way, in one line: that which the check shows first."""
    if result.error:
        return result.error[:300]
    if result.raised:
        words = result.raised[0]
        return f"{words['type']}: {words['text']} ({words['file']}, line {words['line']})"[:300]
    for fact in result.facts:
        if fact["state"] not in ("right", "absent"):
            seen = f": seen {fact['seen']}" if fact["seen"] else ""
            return f"{fact['expected']}{seen}"[:300]
    return ""


def remember(entry, result):
    """After a check: the attempt, what is passed, what stops, and since when it has been so."""
    entry["attempts"] = entry.get("attempts", 0) + 1
    if entry.get("passed") != result.passed or "since" not in entry:
        entry["since"] = int(time.time())
    entry["passed"], entry["stop"] = result.passed, stop(result)

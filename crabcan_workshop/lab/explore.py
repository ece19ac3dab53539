"""The explorer in a notebook: a frame with the page in it, which needs neither a server nor a network."""
from ..chapters import NAMES, WHOLE
from ..explore.document import document
from ..explore.questions import closers
from ..explore.record import ordered
from .desk import Said
from .show import escape
from .views import trace

HEIGHT = 760  # pixels


def explore(*steps, command="true", height=HEIGHT, mine=False, **options):
    """Runs a command in checkpoints, and shows its birth call by call; the first of them first.

    mine=True: your own chapter, made in the room, beside ours. options: those of trace(). A trace() that
    you have already can stand in the place of a number."""
    if not mine:
        return Explorer([recorded(step, command, options) for step in steps or (WHOLE,)], height)
    from ..desk import explore as desk  # only now: it brings the room along
    try:
        return Explorer([made for step in steps for made in (desk.mine(desk.number(step, desk.MINE), None), desk.checkpoint(step))],
                        height, beside=1)
    except (desk.ExploreError, desk.RoomError, desk.workspace.WorkspaceError) as error:
        return Said(f"explore: {error}")


def recorded(step, command, options):
    """(name, a word about it, events) of one checkpoint, or of a trace."""
    if isinstance(step, int):
        return f"chapter {step}: {NAMES.get(step, '')}", command, ordered(trace(step, command, **options))
    return step.caption.partition(":")[0], "", ordered(step)


class Explorer:
    """A page in a frame; as text, which call closes what."""

    def __init__(self, recordings, height, beside=None):
        self.recordings, self.height, self.beside = recordings, height, beside

    def __repr__(self):
        lines = []
        for name, _, events in self.recordings:
            lines.append(f"{name}: {len(events)} events")
            lines += [f"  {what:8} {call or 'open'}" for what, call in closers(events).items()]
        return "\n".join(lines)

    def _repr_html_(self):
        names = ", ".join(name for name, _, _ in self.recordings)
        # Nothing of the notebook's is in the frame's reach: no origin, scripts of the page's own only.
        return (f'<iframe title="The explorer: {escape(names)}" sandbox="allow-scripts allow-downloads" '
                f'style="width:100%;height:{int(self.height)}px;border:1px solid #8886" '
                f'srcdoc="{escape(document(self.recordings, beside=self.beside))}"></iframe>')

"""What a teacher shows on the wall: the class's address, and the root that vouches for it, as QR codes."""
import io

from . import state, tls

WHITE_ON_BLACK, OFF = "\033[97;40m", "\033[0m"


def code(text, colour):
    """A QR code in lines of half blocks: two rows of it in each."""
    import segno
    out = io.StringIO()
    segno.make(text, micro=False).terminal(out, border=2, compact=True)
    for line in out.getvalue().splitlines():
        yield f"{WHITE_ON_BLACK}{line}{OFF}" if colour else line  # the light squares are drawn: others would be inverted


def show(chosen, colour):
    """Prints them; the root first, without which browsers warn."""
    address = state.address(chosen)
    if chosen["own_authority"]:
        print(f"1. The root, for the browser to believe what comes then: {address}root.crt", *code(f"{address}root.crt", colour),
              f"   Its fingerprint (SHA-256) must be the same there: {tls.shown()}", "", sep="\n")
    print(f"{'2. ' * chosen['own_authority']}The class: {address}", *code(address, colour), sep="\n")

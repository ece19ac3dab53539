"""Is a port still free, or does it answer by now? ports.py free|answers ADDRESS NAME PORT"""
import socket
import sys
import time


def free(address, name, port):
    try:
        socket.create_server((address, port)).close()
    except OSError as error:
        sys.exit(f"workshop: port {port}, for the {name}, cannot be had on {address}"
                 f" ({error.strerror}). Who has it: sudo ss -ltnp 'sport = :{port}'."
                 " End that, then the same command again")


def answers(address, name, port, seconds=1200):
    """Waits: an emulated guest, on a machine that tests at the same time, needs 300 s for the book."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            return socket.create_connection((address, port), 2).close()
        except OSError:
            time.sleep(0.2)
    return sys.exit(f"workshop: nothing answers at port {port} after {seconds} s."
                    f" Why: journalctl --user -u crabcan-{name}")


if __name__ == "__main__":
    what, address, name, port = sys.argv[1:]
    {"free": free, "answers": answers}[what](address, name, int(port))

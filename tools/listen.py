"""Whether one may listen at an address of this machine, and at which port: listen.py HOST."""
import os
import socket
import sys


def port(host, *wanted):
    """The first of some ports that nobody has; 0 is any. Raises OSError, a line that says why."""
    try:
        family = socket.getaddrinfo(host, 0)[0][0]
        socket.create_server((host, 0), family=family).close()
    except OSError as error:
        why = error.strerror if isinstance(error, socket.gaierror) else os.strerror(error.errno)
        raise OSError(f"--host {host}: {why}: it must be an address of this machine") from error
    for number in wanted:
        try:
            with socket.create_server((host, number), family=family) as probe:
                return probe.getsockname()[1]
        except OSError as error:
            why = os.strerror(error.errno)
    raise OSError(f"--port {wanted[-1]}: {why}")


if __name__ == "__main__":
    try:
        port(sys.argv[1], 0)
    except OSError as error:
        sys.exit(f"workshop: lab: {error}")

"""nft(8), for chapter 11: one process that asks everything of the kernel in one go, beside us."""
import os

from .. import linux
from ..layer import LayerError

PROGRAMS = ("/usr/sbin/nft", "/sbin/nft", "/usr/local/sbin/nft")
LAYER = "network"
FLUSHED = (": somebody has flushed our rules, as a firewall's reload may: end the containers that run, "
           "and the next one has them again")


class Nft:
    """One run of nft, all or nothing: it begins at once, and is waited for when it must be done.

    None if there is nothing to say."""
    pid = None

    def __init__(self, script, program=None, words=("-f", "-")):
        if not script:
            return
        program = program or next(filter(os.path.exists, PROGRAMS), None)
        if program is None:
            raise LayerError(LAYER, "nft", 0, "not found, and nobody would guard the bridge: "
                                              "`apt-get install nftables`")
        self.said, rules = linux.memfd_create("nft"), linux.memfd_create("rules")
        try:
            os.write(rules, script.encode())
            os.lseek(rules, 0, os.SEEK_SET)
            self.pid = nft(script, [program, *words], [
                (os.POSIX_SPAWN_DUP2, rules, 0), (os.POSIX_SPAWN_DUP2, self.said, 1),
                (os.POSIX_SPAWN_DUP2, self.said, 2)])
        finally:
            linux.close(rules)

    def wait(self, needed=True):
        """Waits for its end. Raises LayerError with its first line if it has refused, where that matters."""
        if self.pid is None:
            return ""
        status = os.waitstatus_to_exitcode(linux.waitpid(self.pid, 0)[1])
        os.lseek(self.said, 0, os.SEEK_SET)
        said = os.read(self.said, 1 << 20).decode(errors="replace")
        linux.close(self.said)
        if status and needed:
            line = said.strip().split("\n")[0] or f"exit status {status}"
            raise LayerError(LAYER, "nft", 0, line + FLUSHED * ("No such file" in line))
        return said


@linux.system_call
def nft(script, words, actions):
    """Starts `nft -f -`, which reads the script and asks all of it of the kernel in one go."""
    return linux.posix_spawn(words[0], words, {}, file_actions=actions, setsigmask=())

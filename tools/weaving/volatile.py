"""When two outputs count as the same: what differs from run to run is replaced before comparing.

A bare number is never taken for a pid: 137 is an exit status, 65534 is nobody, 67108864 a limit,
0600 a mode, and 1 is what a container is all about. So a pid is a number of three or more digits
*in a place where only pids stand*; in a table such as that of ps, one of more than 255 at that.
(Print `pid $$` rather than `$$`: then it can be told.)
Sets of capabilities (000001ffffffffff) are hexadecimal, too: only ids in known places are replaced.
"""
import re

PID = r"\d{3,}"
IN_TABLE = r"(?!(?:1\d\d|2[0-4]\d|25[0-5])\b)\d{3,7}"  # not what may be an exit status
PATTERNS = [(re.compile(pattern, re.M), new) for pattern, new in (
    # Each boot, or each container, gets fresh ones.
    (r"\b(\w+):\[\d{3,}\]", r"\1:[INODE]"),                       # namespaces, pipes, sockets
    (r"\b(Inode: |ino[=:] ?)\d{3,}", r"\1INODE"),                 # stat, lslocks
    (r"^\d+ \d+ \d+:\d+ (?=/)", "ID ID DEVICE "),                 # /proc/PID/mountinfo
    (r"\b(shared|master|propagate_from):\d+", r"\1:ID"),          # its peer groups
    (r"\b0:\d{2,3}(?=[ ,)]|$)", "DEVICE"),                        # file systems without a disk
    (r"^(Device: )\S+", r"\1DEVICE"),                             # stat
    (r"/dev/pts/\d+|\bpts/\d+", "PTS"),                           # the terminal we happen to have
    # Chosen at random.
    (r"\b(?:brisk|calm|clever|cosy|dapper|gentle|jolly|keen|lively|mellow|nimble|plucky|quiet|sunny"
     r"|tidy|witty)-(?:crab|ferret|heron|lynx|otter|puffin|squid|wombat)-\d{1,2}\b", "HOSTNAME"),
    (r"\bcrabcan-\d+-[0-9a-f]+", "crabcan-PID-ID"),               # our cgroups
    (r"\bcrab-[0-9a-f]{10}\b", "FLAG"),                           # of an escape room
    (r"/[0-9a-f]{32,64}\b", "/ID"),                               # other people's cgroups
    (r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", "UUID"),
    (r"\b0x[0-9a-f]{8,}\b|\b\d{14,15}\b", "ADDRESS"),             # where the kernel puts memory
    (r"/tmp/tmp\w{8}\b|(?<=/tmp/)([\w-]+\.)\w{6,10}\b", r"\1TEMPORARY"),  # mkdtemp, mktemp
    # What ps says of a process that lives: on a processor, waiting for one, or asleep. Z and T stay.
    (r"^( *\d+ +(?:(?:\?|PTS|tty\d+) +)?)[RSD]([<NLsl+]*)(?= )", r"\1AWAKE\2"),
    # Numbers of processes.
    (rf"/proc/{PID}\b", "/proc/PID"),
    (rf"\b(\w*(?:pid|Pid|PID)|[Pp]rocess|pgrp|[pst]gid|PGID|Tgid|sid)([\"']?[\s=:]{{1,3}}){PID}\b",
     r"\1\2PID"),
    (rf"(cgroup\.procs', '){PID}", r"\1PID"),                     # written by chapter 8
    (rf"(clone3\([^)]*\) = \[?){PID}", r"\1PID"),                 # --debug and strace
    (rf"^ *{IN_TABLE}(?= +\D)", "PID"),                           # ps: before a word
    (rf"^([a-z_][\w-]* +){IN_TABLE}(?= +\d)(?: +{IN_TABLE}(?= +\d))?", r"\1PID"),  # ps aux, -ef
    (r"(netns /proc/self/fd/)\d+", r"\1FD"),                        # chapter 11's cable
    # Times and dates.
    (r"\b\d{4}-\d\d-\d\d\b", "DATE"),
    (r"\b(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun),? )?(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
     r" +\d{1,2}(?= +\d\d:\d\d| +\d{4})(?: +\d{4}\b)?", "DATE"),  # ls -l, date
    (r"(?<![\w.:])(?:[01]?\d|2[0-3]):[0-5]\d(?::[0-5]\d)?(?:\.\d+)?(?![\w:])", "TIME"),
    (r"\b\d+m\d+[.,]\d+s|\b\d+\.\d+ ?(?:s|seconds)\b|\b\d+(?:\.\d+)? ?(?:ms|milliseconds|µs|us)\b", "DURATION"),
    (r"(\"?(?:microseconds|at)\"?: )\d+", r"\1DURATION"),         # --trace
    (r"#\d+ +(?=(?:parent|child|[a-z]+ \d+) \w)", "#N "),         # workshop explore --text
    (r"\b\d+\.\d+ +\(\d+\.\d+ to \d+\.\d+\)", "SPREAD"),        # ./workshop bench
    (r"\b\d+\.\d+(?= +\(at most )", "RATIO"),
    (r"\b\d+\.\d+(?= MiB by the (?:parent|child)\b)", "SIZE"),
    (r"^(args|protocol|clone|hostname|mounts|namespaces|caps|seccomp|cgroups|terminal|all)( +\d+){3}(?= +0 +0$)",
     r"\1 FAULTS"),                                               # tests/steps/faults.py --table
    (r"^.+, \d+ processors, load .*", "MACHINE"),
    # The machine's own.
    (r"#\d+\S* SMP.*?(?= x86_64| aarch64|$)", "BUILD"),           # uname -v
    (r"\b\d+\.\d+\.\d+-[\w.+~-]+|(?<=Linux )\d+\.\d+\S*", "RELEASE"),  # uname -r
    (r"\b\d+ kB\b", "SIZE kB"),                                   # /proc/meminfo, /proc/PID/status
    (r"^(Mem|Swap|total)(:?) [\s\d.BKMGTi]+$", r"\1\2 SIZE"),     # free, ls -l
    # A column's width follows from its longest entry.
    (r"[ \t]{2,}|\t", " "),
    (r" +$", ""),
)]


def normal(text):
    """A text without what differs from run to run."""
    for pattern, new in PATTERNS:
        text = pattern.sub(new, text)
    return text

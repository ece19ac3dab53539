"""Turns the trace of one `crabcan run` into a C program that asks the same of the kernel.

What is left of crabcan's time beyond that program's is Python's. The trace leaves out calls that
only look, wait or tidy up; of these the program makes the ones that count: it closes descriptors,
resets signals, talks over the socket, and waits.
"""
import json

HEAD = r"""
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/filter.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define OK(call) do { if ((call) < 0) { perror(#call); _exit(125); } } while (0)
#define NEW(n, call) do { if (f[n] > 2) close(f[n]); OK(f[n] = (call)); } while (0)

static int f[4096];   /* descriptors, by the numbers that they had in the trace */
static char word[16], path[64];
struct how { uint64_t flags, mode, resolve; };
struct attr { uint64_t set, clear, propagation, userns; };
struct clone {
    uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack[3], set_tid[2], cgroup;
};

static int openat2_(int dir, const char *name, uint64_t flags, uint64_t resolve) {
    struct how how = {flags | O_CLOEXEC, 0, resolve};
    return syscall(437, dir, name, &how, sizeof how);
}
static int mount_setattr_(int dir, const char *name, int flags, uint64_t set, uint64_t propagation,
                          uint64_t userns) {
    struct attr attr = {set, 0, propagation, userns};
    return syscall(442, dir, name, flags, &attr, sizeof attr);
}
static int write_(int dir, const char *name, const char *text, int flags) {
    int fd = openat(dir, name, flags | O_CLOEXEC, 0644);
    int bad = fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text);
    if (fd >= 0) close(fd);
    return bad ? -1 : 0;
}
static int rmdir_(const char *name) {  /* a cgroup is busy until its last process is quite gone */
    for (int attempt = 1; rmdir(name); attempt++) {
        if (errno != EBUSY || attempt == 1000) return -1;
        usleep(1000);
    }
    return 0;
}
static int capset_(void) {
    uint32_t header[2] = {0x20080522, 0}, data[6] = {0};
    return syscall(SYS_capset, header, data);
}
static int loopback(int fd) {
    struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP};
    return ioctl(fd, SIOCSIFFLAGS, &request);
}
static int filter(const void *code, unsigned short length) {
    struct sock_fprog program = {length, (struct sock_filter *)code};
    return prctl(PR_SET_SECCOMP, 2, &program);
}
"""
TAIL = r"""
static void child(int ours, int theirs) {
    close(f[ours]);
    f[ours] = -1;
    OK(read(f[theirs], word, sizeof word));
    before();
    for (int number = 1; number < 65; number++) signal(number, SIG_DFL);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, 0);
    OK(write(f[theirs], "ready", 5));
    OK(read(f[theirs], word, sizeof word));
    last();
    execl("/bin/true", "/bin/true", (char *)0);
    _exit(127);
}

int main(int argc, char **argv) {
    for (int round = atoi(argv[argc - 1]); round > 0; round--) {
        struct timespec begin, end;
        clock_gettime(CLOCK_MONOTONIC, &begin);
        memset(f, -1, sizeof f);
        sigset_t passed_on, old;
        sigfillset(&passed_on);
        sigprocmask(SIG_BLOCK, &passed_on, &old);
        prepare();
        int pidfd = -1;
        struct clone arguments = {.flags = FLAGS | CLONE_PIDFD, .pidfd = (uintptr_t)&pidfd,
                                  .exit_signal = SIGCHLD, .cgroup = CGROUP};
        int pid = syscall(435, &arguments, sizeof arguments);
        OK(pid);
        if (!pid) child(OURS, THEIRS);
        close(f[THEIRS]);
        f[THEIRS] = -1;
        parent(pid);
        OK(write(f[OURS], "go", 2));
        if (read(f[OURS], word, sizeof word) != 5) return 1;
        OK(write(f[OURS], "start", 5));
        OK(read(f[OURS], word, sizeof word));
        struct pollfd wait = {pidfd, POLLIN, 0};
        poll(&wait, 1, -1);
        siginfo_t info;
        waitid(P_PIDFD, pidfd, &info, WEXITED);
        if (info.si_status) return info.si_status;
        close(pidfd);
        undo();
        for (int fd = 0; fd < 4096; fd++) if (f[fd] > 2) close(f[fd]);
        sigprocmask(SIG_SETMASK, &old, 0);
        clock_gettime(CLOCK_MONOTONIC, &end);
        printf("%.9f ", end.tv_sec - begin.tv_sec + (end.tv_nsec - begin.tv_nsec) / 1e9);
        fflush(stdout);
    }
}
"""


NO_WORK = ("begin", "send", "recv", "close", "dup2", "execve")  # these the program does by itself


def program(events, filters):
    """The C program. events: of --trace; filters: the compiled seccomp filters, as bytes."""
    # Not by the name that the trace has: its process is gone, so another crabcan would remove it.
    events = json.loads(json.dumps(events).replace("/crabcan-", "/in-c-crabcan-"))
    events = [event for event in events if event["call"] not in NO_WORK]
    # Nor what it did for others: it swept away what a killed one had left, or tried in vain.
    made = {event["args"][0] for event in events if event["call"] == "mkdir"}
    events = [event for event in events if event["call"] != "rmdir"
              or event["args"][0] in made and not event["errno"]]
    clone = next(event for event in events if event["call"] == "clone3")
    pid, (flags, cgroup) = str(clone["result"][0]), clone["args"]
    ours, theirs = next(e for e in events if e["call"] == "socketpair")["result"]
    at = events.index(clone)
    parents = [event for event in events[at + 1:] if event["side"] == "parent"]
    parts = {"prepare": events[:at],
             "parent": [event for event in parents if event["layer"] != "clone"],
             "before": [e for e in events if e["side"] == "child" and e["layer"] != "seccomp"],
             "undo": [event for event in parents if event["call"] == "rmdir"]}
    text = (f"{HEAD}#define FLAGS {flags}\n#define CGROUP {descriptor(cgroup) if cgroup else 0}\n"
            f"#define OURS {ours}\n#define THEIRS {theirs}\n")
    load = ""
    for n, code in enumerate(filters):
        text += f"static const unsigned char filter{n}[] = {{{','.join(map(str, code))}}};\n"
        load += f"    OK(filter(filter{n}, {len(code) // 8}));\n"
    for name, some in parts.items():
        head = "int pid" if name == "parent" else "void"
        lines = "".join(f"    {statement(event, pid)}\n" for event in some)
        text += f"static void {name}({head}) {{\n{lines}}}\n"
    return f"{text}static void last(void) {{\n{load}}}\n{TAIL}"


def statement(event, pid):
    """One call as a statement of C."""
    call, args, options = event["call"], event["args"], event["options"]
    words = [json.dumps(arg) if isinstance(arg, str) else str(arg) for arg in args]
    folder = descriptor(options.get("dir_fd", -100))
    if call == "pidfd_send_signal" or call == "write" and args[0].endswith("cgroup.kill"):
        return ""  # a sweep ended what a killed crabcan had left
    if call in MAKES_DESCRIPTOR:
        made = MAKES_DESCRIPTOR[call](args, words, folder)
        return f"{made};" if event["errno"] else f"NEW({event['result']}, {made});"
    if call == "write":
        return write(args, words, folder, pid)
    if call == "mount_setattr":
        return mount_setattr(args, words, folder, options)
    if call == "socketpair":
        return (f"int pair[2]; OK(socketpair(1, {args[1]} | SOCK_CLOEXEC, 0, pair)); "
                "f[OURS] = pair[0]; f[THEIRS] = pair[1];")
    if call in CALLS:
        return f"OK({CALLS[call](args, words, folder)});"
    return f"OK({call}({', '.join(words)}));"


def descriptor(number):
    return str(number) if number < 0 else f"f[{number}]"


def write(args, words, folder, pid):
    flags = args[2] if len(args) > 2 else 1
    if pid not in args[0]:
        return f"OK(write_({folder}, {words[0]}, {words[1]}, {flags}));"
    pattern = json.dumps(args[0].replace(pid, "%d"))
    return (f"snprintf(path, sizeof path, {pattern}, pid); "
            f"OK(write_(-100, path, {words[1]}, {flags}));")


def mount_setattr(args, words, folder, options):
    attributes, propagation = (args + [0, 0])[2:4]
    propagation = options.get("propagation", propagation)
    namespace = descriptor(options["userns_fd"]) if "userns_fd" in options else "0"
    return (f"OK(mount_setattr_({folder}, {words[0]}, {args[1]}, {attributes}, {propagation}, "
            f"{namespace}));")


MAKES_DESCRIPTOR = {  # call -> its C, of the arguments as values and as words, and the directory
    "open": lambda a, w, d: f"openat({d}, {w[0]}, {a[1]} | O_CLOEXEC)",
    "openat2": lambda a, w, d: f"openat2_({descriptor(a[0])}, {', '.join(w[1:])})",
    "open_tree": lambda a, w, d: f"syscall(428, {d}, {w[0]}, {a[1]} | O_CLOEXEC)",
    "fsopen": lambda a, w, d: f"syscall(430, {w[0]}, 1)",
    "fsmount": lambda a, w, d: f"syscall(432, {descriptor(a[0])}, 1, {a[1]})",
    "socket": lambda a, w, d: f"socket({a[0]}, {a[1]} | SOCK_CLOEXEC, 0)",
    "signalfd": lambda a, w, d: "signalfd(-1, &(sigset_t){0}, SFD_CLOEXEC)",
}
CALLS = {  # the others, where C has other arguments
    "stat": lambda a, w, d: f"stat({w[0]}, &(struct stat){{0}})",
    "rmdir": lambda a, w, d: f"rmdir_({w[0]})",
    "fsconfig": lambda a, w, d: f"syscall(431, {descriptor(a[0])}, "
                                f"{', '.join((w[1:] + ['0', '0'])[:3])}, 0)",
    "move_mount": lambda a, w, d: f'syscall(429, {descriptor(a[0])}, "", {descriptor(a[1])}, "", 0x44)',
    "mkdir": lambda a, w, d: f"mkdirat({d}, {w[0]}, {(a + [0o755])[1]})",
    "symlink": lambda a, w, d: f"symlinkat({w[0]}, {d}, {w[1]})",
    "fchdir": lambda a, w, d: f"fchdir({descriptor(a[0])})",
    "pivot_root": lambda a, w, d: f"syscall(SYS_pivot_root, {w[0]}, {w[1]})",
    "umount2": lambda a, w, d: f"syscall(SYS_umount2, {w[0]}, {w[1]})",
    "keyctl": lambda a, w, d: f"syscall(SYS_keyctl, {w[0]}, {w[1]})",
    "setgroups": lambda a, w, d: "setgroups(0, 0)",
    "sethostname": lambda a, w, d: f"sethostname({w[0]}, {len(a[0])})",
    "ioctl": lambda a, w, d: f"loopback({descriptor(a[0])})",
    "setrlimit": lambda a, w, d: f"setrlimit({a[0]}, &(struct rlimit){{{a[1][0]}, {a[1][1]}}})",
    "capbset_drop": lambda a, w, d: f"prctl(PR_CAPBSET_DROP, {a[0]}, 0, 0, 0)",
    "capset": lambda a, w, d: "capset_()",
    "set_no_new_privs": lambda a, w, d: "prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)",
    "prctl": lambda a, w, d: f"prctl({', '.join((w + ['0'] * 4)[:5])})",
    "close_range": lambda a, w, d: ("f[THEIRS] > 3 ? syscall(436, 3, f[THEIRS] - 1, 0) : 0"
                                    if a[0] == 3 else "syscall(436, f[THEIRS] + 1, ~0U, 0)"),
}

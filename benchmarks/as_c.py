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
struct clone { uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, size, tls; };

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
static int mkdir_(int dir, const char *name, int mode) {
    return mkdirat(dir, name, mode) < 0 ? -1 : fchmodat(dir, name, mode, 0);
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
        struct clone arguments = {FLAGS | CLONE_PIDFD, (uintptr_t)&pidfd, 0, 0, SIGCHLD, 0, 0, 0};
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


def program(events, filters):
    """The C program. events: of --trace; filters: the compiled seccomp filters, as bytes."""
    clone = next(e for e in events if e["call"] == "clone3")
    pid = str(clone["result"][0])
    ours, theirs = next(e for e in events if e["call"] == "socketpair")["result"]
    at = events.index(clone)
    parents = [e for e in events[at + 1:] if e["side"] == "parent"]
    parts = {"prepare": events[:at],
             "parent": [e for e in parents if e["layer"] != "clone"],
             "before": [e for e in events if e["side"] == "child" and e["layer"] != "seccomp"],
             "undo": [e for e in parents if e["call"] == "rmdir"]}
    text = f"{HEAD}#define FLAGS {clone['args'][0]}\n#define OURS {ours}\n#define THEIRS {theirs}\n"
    for number, code in enumerate(filters):
        text += f"static const unsigned char filter{number}[] = {{{','.join(map(str, code))}}};\n"
    for name, some in parts.items():
        head = "int pid" if name == "parent" else "void"
        lines = "".join(f"    {statement(event, pid)}\n" for event in some)
        text += f"static void {name}({head}) {{\n{lines}}}\n"
    load = "".join(f"    OK(filter(filter{n}, {len(code) // 8}));\n" for n, code in enumerate(filters))
    text += f"static void last(void) {{\n{load}}}\n"
    return text + TAIL


def statement(event, pid):
    """One call as a statement of C."""
    call, args, options = event["call"], event["args"], event["options"]
    folder = descriptor(options.get("dir_fd", -100))
    text = [json.dumps(a) if isinstance(a, str) else str(a) for a in args]
    if call == "openat2":
        made = f"openat2_({descriptor(args[0])}, {', '.join(text[1:])})"
    elif call == "open_tree":
        made = f"syscall(428, {folder}, {text[0]}, {args[1] | 0o2000000})"
    elif call == "fsopen":
        made = f"syscall(430, {text[0]}, 1)"
    elif call == "fsmount":
        made = f"syscall(432, {descriptor(args[0])}, 1, {args[1]})"
    elif call == "socket":
        made = f"socket({args[0]}, {args[1]} | SOCK_CLOEXEC, 0)"
    elif call == "signalfd":
        made = "signalfd(-1, &(sigset_t){0}, SFD_CLOEXEC)"
    else:
        return other(call, args, text, options, folder, pid)
    return f"{made};" if event["errno"] else f"NEW({event['result']}, {made});"


def descriptor(number):
    return str(number) if number < 0 else f"f[{number}]"


def other(call, args, text, options, folder, pid):
    """A call that makes no descriptor."""
    numbers = ", ".join(text)
    made = {
        "stat": lambda: f"stat({text[0]}, &(struct stat){{0}})",
        "mount_setattr": lambda: setattr_call(args, text, options, folder),
        "fsconfig": lambda: "syscall(431, {}, {}, {}, {}, 0)".format(
            descriptor(args[0]), *(text[1:] + ["0", "0"])[:3]),
        "move_mount": lambda: f'syscall(429, {descriptor(args[0])}, "", {descriptor(args[1])}, "", 0x44)',
        "mkdir": lambda: f"mkdir_({folder}, {text[0]}, {(args + [0o755])[1]})",
        "symlink": lambda: f"symlinkat({text[0]}, {folder}, {text[1]})",
        "rmdir": lambda: f"rmdir({text[0]})",
        "fchdir": lambda: f"fchdir({descriptor(args[0])})",
        "pivot_root": lambda: f"syscall(SYS_pivot_root, {numbers})",
        "umount2": lambda: f"syscall(SYS_umount2, {numbers})",
        "keyctl": lambda: f"syscall(SYS_keyctl, {numbers})",
        "setgroups": lambda: "setgroups(0, 0)",
        "sethostname": lambda: f"sethostname({text[0]}, {len(args[0])})",
        "ioctl": lambda: f"loopback({descriptor(args[0])})",
        "setrlimit": lambda: f"setrlimit({args[0]}, &(struct rlimit){{{args[1][0]}, {args[1][1]}}})",
        "capbset_drop": lambda: f"prctl(PR_CAPBSET_DROP, {args[0]}, 0, 0, 0)",
        "capset": lambda: "capset_()",
        "set_no_new_privs": lambda: "prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)",
        "prctl": lambda: f"prctl({', '.join((text + ['0'] * 4)[:5])})",
        "close_range": lambda: f"syscall(436, {numbers})",
    }.get(call, lambda: f"{call}({numbers})")
    if call == "write":
        flags = args[2] if len(args) > 2 else 1
        if pid in args[0]:
            format = json.dumps(args[0].replace(pid, "%d"))
            return f"snprintf(path, sizeof path, {format}, pid); OK(write_(-100, path, {text[1]}, {flags}));"
        return f"OK(write_({folder}, {text[0]}, {text[1]}, {flags}));"
    if call == "socketpair":
        return "{ int pair[2]; OK(socketpair(1, %d | SOCK_CLOEXEC, 0, pair)); f[OURS] = pair[0]; " \
               "f[THEIRS] = pair[1]; }" % args[1]
    return f"OK({made()});"


def setattr_call(args, text, options, folder):
    attributes, propagation = (args + [0, 0])[2:4]
    userns = descriptor(options["userns_fd"]) if "userns_fd" in options else "0"
    return f"mount_setattr_({folder}, {text[0]}, {args[1]}, {attributes}, " \
           f"{options.get('propagation', propagation)}, {userns})"

"""Ordinary programs run inside as they do outside: the walls are for what nobody needs."""
import shutil
import time

import pytest

from conftest import Typist

pytestmark = pytest.mark.slow  # left out by --fast

# name: (programs that the host must have, a script, the last line that it prints)
SCRIPTS = {
    "threads": ("python3", """python3 -c '
import threading
total, lock = [], threading.Lock()
def work(n):
    with lock:
        total.append(n)
threads = [threading.Thread(target=work, args=(n,)) for n in range(40)]
for t in threads: t.start()
for t in threads: t.join()
print(sum(total))'""", "780"),
    "subprocess": ("python3", """python3 -c '
import subprocess
out = subprocess.run(["sh", "-c", "cat; exit 3"], input="through a pipe", text=True,
                     capture_output=True)
print(out.returncode, out.stdout)'""", "3 through a pipe"),
    "multiprocessing": ("python3", """cat >/tmp/m.py <<'END'
import multiprocessing
def work(semaphore, queue, n):
    with semaphore:
        queue.put(n)
if __name__ == "__main__":
    semaphore, queue = multiprocessing.Semaphore(2), multiprocessing.Queue()
    workers = [multiprocessing.Process(target=work, args=(semaphore, queue, n)) for n in range(6)]
    for w in workers: w.start()
    got = sorted(queue.get(timeout=20) for _ in workers)
    for w in workers: w.join()
    print(got, [w.exitcode for w in workers])
END
python3 /tmp/m.py""", "[0, 1, 2, 3, 4, 5] [0, 0, 0, 0, 0, 0]"),
    "shared memory": ("python3", """python3 -c '
from multiprocessing import shared_memory
a = shared_memory.SharedMemory(create=True, size=100)
b = shared_memory.SharedMemory(name=a.name)
a.buf[0] = 42; print(b.buf[0]); b.close(); a.close(); a.unlink()'""", "42"),
    "asyncio": ("python3", """python3 -c '
import asyncio
async def main():
    async def answer(reader, writer):
        writer.write((await reader.readline()).upper()); await writer.drain(); writer.close()
    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    writer.write(b"hello\\n")
    child = await asyncio.create_subprocess_exec("echo", "child", stdout=asyncio.subprocess.PIPE)
    print((await reader.readline() + (await child.communicate())[0]).split())
asyncio.run(main())'""", "[b'HELLO', b'child']"),
    "ssl": ("python3", "python3 -c 'import ssl; print(ssl.create_default_context().check_hostname)'",
            "True"),
    "names": ("python3", """python3 -c 'import socket, os
print(socket.gethostbyname(os.uname().nodename), socket.getaddrinfo("localhost", 80)[0][4][1])'""",
              "127.0.0.1 80"),
    "apt": ("apt-get", "apt-get --version | head -n 1 | cut -d ' ' -f 1", "apt"),
    "dpkg": ("dpkg", "dpkg --compare-versions 1.10 gt 1.9 && echo newer", "newer"),
    "git": ("git", """mkdir /tmp/r && cd /tmp/r && git init -q . && echo text >file && git add file &&
git -c user.name=N -c user.email=n@example.org commit -q -m 'A first commit' &&
git clone -q /tmp/r /tmp/s && git -C /tmp/s gc -q && git -C /tmp/s log --format=%s""",
            "A first commit"),
    "gcc": ("gcc", """cd /tmp && cat >h.c <<'END'
#include <stdio.h>
int main(void) { puts("hello, world"); return 0; }
END
gcc -O2 -pipe -o h h.c && ./h""", "hello, world"),
    "pthreads": ("gcc", """cd /tmp && cat >t.c <<'END'
#include <pthread.h>
#include <stdio.h>
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static long total;
static void *work(void *unused) {
    for (int i = 0; i < 10000; i++) {
        pthread_mutex_lock(&lock); total++; pthread_mutex_unlock(&lock);
    }
    return NULL;
}
int main(void) {
    pthread_t t[16];
    for (int i = 0; i < 16; i++) if (pthread_create(&t[i], NULL, work, NULL)) return 1;
    for (int i = 0; i < 16; i++) pthread_join(t[i], NULL);
    printf("%ld\\n", total);
    return 0;
}
END
gcc -O2 -pthread -o t t.c && ./t""", "160000"),
    "make": ("make", """cd /tmp && printf 'all: a b c d\\n\\t@echo made $^\\n%%:\\n\\t@touch $@\\n' >Makefile &&
make -s -j 4""", "made a b c d"),
    "web server": ("curl", """cd /tmp; echo served >page
python3 -m http.server --bind 127.0.0.1 8000 >log 2>&1 &
until [ $((n += 1)) -gt 100 ] || curl -s -o /dev/null http://127.0.0.1:8000/; do sleep 0.1; done
curl -s http://localhost:8000/page; kill %1""", "served"),
    "ps": ("ps", "sleep 100 & ps -o ppid= -p $! | tr -d ' '; kill $!", "1"),
    "top": ("top", "top -bn1 | grep -c ' top$'", "1"),
    "free and uptime": ("free", "free >/tmp/f && uptime >/tmp/u && vmstat >/tmp/v && echo all",
                        "all"),
    "tar": ("tar", """cd /tmp && mkdir -p a/b x && echo inside >a/b/f && chmod 640 a/b/f && ln -s f a/b/l &&
tar -czf a.tgz a && tar -C x -xzpf a.tgz && echo $(stat -c %a x/a/b/f) $(cat x/a/b/l)""", "640 inside"),
    "perl": ("perl", """perl -MPOSIX -e 'open(my $f, "-|", "echo from a child"); print floor(2.5), <$f>'""",
             "2from a child"),
    "awk": ("awk", "seq 1000 | awk '{ s += $1 } END { print s }'", "500500"),
    "sort": ("sort", "seq 300000 | tac >/tmp/big && sort -n -S 1M /tmp/big | tail -n 1", "300000"),
    "timeout": ("timeout", "timeout 0.2 sleep 100; echo $?", "124"),
    "locale": ("locale", "LC_ALL=C.UTF-8 locale charmap", "UTF-8"),
    "openssl": ("openssl", "openssl rand -hex 8 | tr -d '\\n' | wc -c", "16"),
    "sqlite": ("sqlite3", "sqlite3 /tmp/d.db 'PRAGMA journal_mode=WAL; CREATE TABLE t(a); "
               "INSERT INTO t VALUES (41); UPDATE t SET a = a + 1; SELECT a FROM t;'", "42"),
    "sqlite in Python": ("python3", "python3 -c 'import sqlite3; d = sqlite3.connect(\"/tmp/d\"); "
                         "print(d.execute(\"select 40 + 2\").fetchone()[0])'", "42"),
    "find and xargs": ("find", "mkdir /tmp/many && cd /tmp/many && seq 500 | xargs touch && "
                       "find . -type f -print0 | xargs -0 -n 50 -P 8 ls | wc -l", "500"),
    "flock": ("flock", "flock /tmp/lock sh -c 'flock -n /tmp/lock true || echo locked'", "locked"),
    "mktemp and dd": ("dd", "f=$(mktemp) && dd if=/dev/zero of=$f bs=1M count=50 status=none && wc -c <$f",
                      "52428800"),
    "nice and ionice": ("nice", "nice -n 5 nice", "5"),
    "script": ("script", "script -qec 'tty' /dev/null </dev/null | tr -d '\\r'", "/dev/pts/0"),
    "strace": ("strace", "strace -f -o /tmp/trace sh -c true && grep -c exit_group /tmp/trace", "1"),
    "gdb": ("gdb", "gdb -q -batch -nx -ex run /usr/bin/true 2>&1 | grep -c 'exited normally'", "1"),
    "node": ("node", "node -e 'setTimeout(() => console.log(process.platform), 10)'", "linux"),
}


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_program(who, name):
    program, script, last = SCRIPTS[name]
    if not shutil.which(program, path="/usr/bin:/bin:/usr/sbin:/sbin"):
        pytest.skip(f"the host, and so the container, has no {program}")
    result = who.crabcan("run", "--", "bash", "-c", script)
    assert result.stdout.splitlines()[-1:] == [last], result


def test_su_gives_no_rights(who):
    """It is set-user-ID root, and that counts for nothing."""
    result = who.crabcan("run", "--", "su", "nobody", "-s", "/bin/sh", "-c", "echo got through")
    assert result.returncode != 0 and "got through" not in result.stdout and "su:" in result.stderr


def test_sudo_says_why_it_cannot(root):
    if not shutil.which("sudo", path="/usr/bin:/bin"):
        pytest.skip("the host, and so the container, has no sudo")
    result = root.crabcan("run", "-u", "5", "--", "sudo", "true")
    assert result.returncode != 0 and '"no new privileges" flag is set' in result.stderr


def test_bash_has_job_control(who):
    with Typist(who, "run", "--", "bash", "--norc", "-i") as typist:
        typist.type("set -m; sleep 100 & jobs\r")
        typist.sees("Running")
        typist.type("fg\r")
        typist.sees("sleep 100")
        time.sleep(0.3)
        typist.type("\x1a")
        typist.sees("Stopped")
        typist.type("bg; jobs\r")
        typist.sees("Running")
        typist.type("kill %1; wait; echo $((6*7)) done\r")
        typist.sees("42 done")
        typist.type("exit 3\r")
        assert typist.process.wait(20) == 3

"""`workshop layers` on a terminal: driven key by key, over images that are really read; once in a real terminal."""
import argparse
import asyncio
import contextlib
import fcntl
import json
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time

import pytest

from making import Layout, folder as directory, member, tar
from test_images_layers import BUILT, KEY
from crabcan_workshop.layers import command
from crabcan_workshop.layers.index import Index
from crabcan_workshop.layers.source import image_at

SMALL = (80, 24)


@pytest.fixture
def built(tmp_path):
    layout = Layout(tmp_path / "layout")
    layout.image(*BUILT[0], history=BUILT[1])
    return layout


def options(*words):
    parser = argparse.ArgumentParser()
    command.add_arguments("layers", parser)
    return parser.parse_args(words)


def text(app):
    """What stands on the screen, a line each."""
    return [strip.text.rstrip() for strip in app.screen._compositor.render_strips()]


def drive(source, script, other=None, size=SMALL):
    """Opens an image, and has a script press its keys: script(pilot, seen), seen() being the screen."""
    from crabcan_workshop.layers.screen import Viewer

    async def main():
        with contextlib.ExitStack() as stack:
            image, opened = stack.enter_context(image_at(source, options(source)))
            second = stack.enter_context(image_at(other, options(other))) if other else None
            app = Viewer(Index(image), opened, second and (lambda index: command.compared(index, second)))
            async with app.run_test(size=size) as pilot:
                await app.workers.wait_for_complete()

                async def seen(*keys):
                    await pilot.press(*keys)
                    await pilot.pause()
                    return "\n".join(text(app))
                await script(pilot, seen)
    asyncio.run(main())


def test_the_tree_at_each_layer(built):
    async def script(pilot, seen):
        first = await seen()
        assert re.search(r"\+ big +30 kB", first) and "+ key" in first and "COPY . /app" in first
        assert "efficiency" in first.splitlines()[0] and "q quit" in first.splitlines()[-1]
        assert "m big" in await seen("down")
        last = await seen("down")
        assert "~ big  1 kB" in last and "- key" in last and "+ <b>&" in last
        back = await seen("up", "up")
        assert "+ key" in back and "<b>" not in back
    drive(f"oci:{built.path}", script)


def test_all_of_it_fits_a_small_terminal(built):
    """No line is cut away; the tree has a third of it at least."""
    async def script(pilot, seen):
        await seen()
        for widget in pilot.app.query("#head, #layers, #tabs, #foot, Footer"):
            assert pilot.app.screen.region.contains_region(widget.region), widget
        assert pilot.app.query_one("Files").region.height >= 8
    drive(f"oci:{built.path}", script)


def test_filter_and_search(built):
    async def script(pilot, seen):
        found = await seen("slash", *"key")
        assert "+ key" in found and "big" not in found and "1 file with 'key'" in found
        assert "- key" in await seen("enter", "n")  # the layer that removes it
        assert "+ key" in await seen("n")           # and round to the one that brings it
        everything = await seen("escape")
        assert "+ big" in everything and "+ key" in everything
    drive(f"oci:{built.path}", script)


def test_only_changes_and_the_order(tmp_path):
    layout = Layout(tmp_path / "layout")
    layout.image(tar(directory("d"), member("d/old", "1" * 9000), member("a", "1")), tar(member("d/new", "2")))

    async def script(pilot, seen):
        both = await seen("down")
        assert "old" in both and both.index("+ new") < both.index("  old") < both.index("  a  1 B")
        assert (await seen("s")).index("  old") < (await seen()).index("+ new")
        only = await seen("c")
        assert "+ new" in only and "  old" not in only
    drive(f"oci:{layout.path}", script)


def test_lines_waste_and_secrets(built):
    async def script(pilot, seen):
        lines = await seen("d")
        assert "ENV a=b" in lines and "RUN chown -R web /app" in lines and "> 30 kB less: changes only owners" in lines
        assert re.search(r"60 kB +2 +owner or mode only 1x, written again 1x +/app/big", await seen("w"))
        assert re.search(r"private key +0 +2: still there +/app/key", await seen("x"))
        assert "Both" not in await seen("b") and pilot.app.query_one("#tabs").active == "secrets"
    drive(f"oci:{built.path}", script)


def test_what_a_newcomer_sees_first(tmp_path):
    """Sizes of long new directories, not hundreds of names; as many layers as there are, and no row for a scrollbar."""
    layout = Layout(tmp_path / "layout")
    layout.image(tar(*(member(f"bin/{n}", "x" * 100) for n in range(300)), member("etc/passwd", "x")), tar(member("bin/0", "y")),
                 tar(*(member(f"new/{n}", "x") for n in range(20)), member(f"d/{'long' * 50}", "1")),
                 *(tar(member(f"more{n}", "x")) for n in range(4)), history=[{"created_by": f"RUN {'step ' * 60}"}] * 7)

    async def script(pilot, seen):
        first = await seen()
        assert "• bin/  30 kB" in first and "+ 100" not in first and "+ passwd" in first
        assert len(re.findall(r"^ \d +\d+ k?B.*RUN step", first, re.M)) == 7 and "• in it" in first
        assert "~ 0" in await seen("down")  # a file of a long directory is changed: it is open
        await seen("down")
        assert "+ 12" in await seen()
        assert "long" * 50 in re.sub(r"\s", "", await seen("t", "down", "down"))  # the foot has all of it
        assert not any(widget.show_horizontal_scrollbar for widget in pilot.app.query("Tree, DataTable"))
    drive(f"oci:{layout.path}", script)


def test_the_foot_is_about_what_is_shown(built):
    async def script(pilot, seen):
        assert "+ added" in (await seen("t")).splitlines()[-2]
        assert "of layer 0" in (await seen("down", "down")).splitlines()[-2]
        assert "COPY . /app" in (await seen("d")).splitlines()[-2]
        assert "Secrets: 1 (x)" in await seen() and "still there" in (await seen("x")).splitlines()[-2]
        assert "+ added" in (await seen("t")).splitlines()[-2]
    drive(f"oci:{built.path}", script)


def test_two_images_side_by_side(built, tmp_path):
    other = Layout(tmp_path / "other")
    other.image(BUILT[0][0], tar(member("app/only", "here")))

    async def script(pilot, seen):
        shown = await seen()
        assert re.search(r"different +/app/big", shown) and re.search(r"only in the second +/app/only", shown)
        assert "+ key" in await seen("t")
    drive(f"oci:{built.path}", script, other=f"oci:{other.path}")


def test_the_mouse(built):
    async def script(pilot, seen):
        await pilot.click("#layers", offset=(3, 3))
        assert "- key" in await seen()
        await pilot.click("#--content-tab-secrets")
        assert "still there" in await seen()
    drive(f"oci:{built.path}", script)


def test_names_steer_no_terminal_and_are_no_markup(tmp_path):
    layout = Layout(tmp_path / "layout")
    layout.image(tar(member("a\x1b[31mred", "x"), member("[red]b", "x"), member("caf\udce9", "x")),
                 history=[{"created_by": "RUN echo \x1b]0;title\x07 [bold]"}])

    async def script(pilot, seen):
        shown = await seen()
        assert "\\x1b[31mred" in shown and "[red]b" in shown and "[bold]" in shown and "\\udce9" in shown
        assert "\\x1b" in await seen("d")
    drive(f"oci:{layout.path}", script)


def test_a_damaged_layer_ends_it_with_a_line(built):
    from crabcan_workshop.layers.screen import Viewer
    manifest = json.loads((built.path / "blobs/sha256" / built.manifests[0]["digest"][7:]).read_text())
    layer = built.path / "blobs/sha256" / manifest["layers"][1]["digest"][7:]
    layer.write_bytes(layer.read_bytes()[:-9])

    async def main():
        with image_at(f"oci:{built.path}", options("x")) as (image, opened):
            app = Viewer(Index(image), opened)
            async with app.run_test(size=SMALL) as pilot:
                while app.is_running and not app.fault:
                    await pilot.pause(0.05)
            assert "gzip" in str(app.fault) and "\n" not in str(app.fault)
    asyncio.run(main())


def test_in_a_real_terminal_and_what_a_pipe_gets(built, tmp_path):
    """q ends it, and the terminal is as before; in a pipe, and with --plain, it is text."""
    words = [sys.executable, "-m", "crabcan_workshop", "layers", f"oci:{built.path}"]
    environment = {**os.environ, "TERM": "xterm-256color", "CRABCAN_STORE": str(tmp_path / "store")}
    outer, inner = pty.openpty()
    fcntl.ioctl(inner, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    before = termios.tcgetattr(inner)
    process = subprocess.Popen(words, env=environment, stdin=inner, stdout=inner, stderr=inner, start_new_session=True)
    seen, end, asked = b"", time.monotonic() + 60, False
    while process.poll() is None and time.monotonic() < end:
        if select.select([outer], [], [], 0.1)[0]:
            seen += os.read(outer, 65536)
        if b"efficiency" in seen and not asked:
            os.write(outer, b"q")
            asked = True
    assert process.wait(5) == 0 and b"private key" not in seen and b"COPY . /app" in seen
    assert termios.tcgetattr(inner) == before and b"\x1b[?1049l" in seen
    os.close(outer)
    os.close(inner)
    piped = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=60)
    assert piped.returncode == 0 and "\x1b" not in piped.stdout and "What would have saved it" in piped.stdout
    assert not (tmp_path / "store").exists()  # read where it lies


def test_nothing_else_loads_textual():
    script = "import sys; from crabcan_workshop import cli; cli.modules(); from crabcan_workshop.layers import view; print('textual' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    assert result.stdout == "False\n"

"""The teacher's page: tornado, which comes with Jupyter, and a stream of events for each browser that looks.

The room is looked at by one loop, however many look at the page; what has changed goes to all of them.
"""
import asyncio
import json
from pathlib import Path

from crabcan_steps import __version__
from tornado import iostream, web

from .. import exercises
from . import access, reading

PAGE = Path(__file__).with_name("page")
EVERY, ALIVE, WAITING = 2, 15, 50  # seconds between looks, and between signs of life; events for one who is slow
POLICY = ("default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; form-action 'self'; "
          "base-uri 'none'; frame-ancestors 'none'")


class Watch:
    """The loop, and who listens."""

    def __init__(self, room, board, blocks):
        self.room, self.board, self.blocks, self.listeners = room, board, blocks, set()

    async def run(self):
        while True:
            if self.listeners:  # else nobody wants to know
                await self.look()
            await asyncio.sleep(EVERY)

    async def look(self):
        changed = await asyncio.get_running_loop().run_in_executor(None, self.room.look)
        if changed:
            rows = self.room.rows
            self.tell({"rows": [rows[who] for who in changed if who in rows], "pace": self.room.pace(),
                       "gone": [who for who in changed if who not in rows]})

    def all(self):
        return {"rows": list(self.room.rows.values()), "gone": [], "pace": self.room.pace(), "whole": True,
                "board": self.board.words, "blocks": self.blocks}

    def tell(self, words):
        for queue in list(self.listeners):
            try:
                queue.put_nowait(words)
            except asyncio.QueueFull:  # it comes again, and then gets all
                self.listeners.discard(queue)


def handlers(prefix):
    """The application's, below an address."""
    Base = access.handler()

    class Handler(Base):
        """What all of them have."""

        @property
        def watch(self):
            return self.settings["watch"]

        def set_default_headers(self):
            for name, value in {"Content-Security-Policy": POLICY, "X-Content-Type-Options": "nosniff",
                                "Referrer-Policy": "no-referrer", "Cache-Control": "no-store",
                                "Server": "crabcan"}.items():
                self.set_header(name, value)

        def write_error(self, status_code, **_):
            self.set_header("Content-Type", "text/plain; charset=utf-8")
            self.finish(f"{status_code}: {self._reason}\n")

    class Page(Handler):
        """The page, and what belongs to it."""

        def get(self, name="teacher.html"):
            kinds = {"teacher.html": "text/html", "style.css": "text/css", "teacher.js": "text/javascript"}
            if name not in kinds:
                raise web.HTTPError(404)
            text = (PAGE / name).read_text()
            if name == "teacher.html":
                text = text.replace("XSRF", self.xsrf_token.decode()).replace("VERSION", __version__)
            self.set_header("Content-Type", f"{kinds[name]}; charset=utf-8")
            self.finish(text)

    class Events(Handler):
        """The stream: all of it first, then what changes."""

        async def get(self):
            self.set_header("Content-Type", "text/event-stream")
            self.set_header("X-Accel-Buffering", "no")  # for a proxy in between
            await self.watch.look()
            queue = self.queue = asyncio.Queue(WAITING)
            queue.put_nowait(self.watch.all())
            self.watch.listeners.add(queue)
            try:
                while queue in self.watch.listeners:
                    try:
                        words = await asyncio.wait_for(queue.get(), ALIVE)
                        self.write(f"data: {json.dumps(words)}\n\n")
                    except asyncio.TimeoutError:
                        self.write(": still here\n\n")
                    await self.flush()
            except (iostream.StreamClosedError, asyncio.CancelledError):
                self._auto_finish = False  # they have gone, or we are to: there is nothing to finish
            finally:
                self.watch.listeners.discard(queue)

        def on_connection_close(self):
            self.watch.listeners.discard(getattr(self, "queue", None))

    class Csv(Handler):
        def get(self):
            self.watch.room.look()
            self.set_header("Content-Type", "text/csv; charset=utf-8")
            self.set_header("Content-Disposition", 'attachment; filename="class.csv"')
            self.finish(self.watch.room.table())

    class Work(Handler):
        """A learner's file, to be read: text, which no browser runs."""

        def get(self):
            try:
                number = int(self.get_query_argument("chapter"))
                text = self.watch.room.work(self.get_query_argument("who"), number)
            except (ValueError, KeyError):
                raise web.HTTPError(404, reason="no such learner or chapter") from None
            except reading.Unread as error:
                text = f"# {error}\n"
            self.finish({"text": text, "file": exercises.chapter(number).file})

    class Do(Handler):
        """What the teacher does: for all."""

        def post(self, deed):
            board = self.watch.board
            try:
                words = json.loads(self.request.body)
                if deed == "say":
                    board.say(str(words["text"]))
                elif deed == "give" and words["chapter"] in exercises.CHAPTERS:
                    board.give(int(words["chapter"]))
                elif deed == "time" and 0 <= float(words["minutes"]) <= 24 * 60:
                    board.time(str(words.get("label", "")), float(words["minutes"]))
                else:
                    raise ValueError(deed)
            except (ValueError, KeyError, TypeError) as error:
                raise web.HTTPError(400, reason="not understood") from error
            self.watch.tell({"rows": [], "gone": [], "board": board.words})
            self.finish({})

    return [(prefix, Page), (f"{prefix}(style.css|teacher.js)", Page), (f"{prefix}events", Events),
            (f"{prefix}class.csv", Csv), (f"{prefix}work", Work), (f"{prefix}(say|give|time)", Do),
            *access.more_handlers(prefix)]


def application(watch, prefix, **settings):
    return web.Application(handlers(prefix), watch=watch, xsrf_cookies=True, compress_response=False, **settings)

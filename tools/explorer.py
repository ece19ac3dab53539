#!/usr/bin/env python3
"""Makes crabcan_workshop/explore/page.html of what is in page/ beside it: one file, with nothing to load.

    tools/explorer.py            make it anew
    tools/explorer.py --check    only say whether it is what would be made
    tools/explorer.py --fetch    only bring the libraries here, while there is a network

The libraries come through npm, each held by its hash (page/package-lock.json), into build/explorer;
esbuild puts them and our modules into one script. Readers of the page need none of this.
"""
import base64
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
PAGE = CHECKOUT / "crabcan_workshop" / "explore" / "page"
MADE = PAGE.with_suffix(".html")
BUILD = CHECKOUT / "build" / "explorer"
LISTS = ("package.json", "package-lock.json")
NPM = ("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")
OPTIONS = ("--bundle", "--minify", "--format=iife", "--target=es2020", "--charset=ascii", "--legal-comments=none",
           '--define:process.env.NODE_ENV="production"')
LICENCE = re.compile(r"licen[cs]e(\.\w+)?$", re.I)


def main():
    if not shutil.which("npm"):
        sys.exit("explorer.py: npm is missing: apt-get install npm. To read the page nobody needs it.")
    if "--fetch" in sys.argv[1:]:
        return fetch()
    page = make()
    if "--check" not in sys.argv[1:]:
        MADE.write_text(page)
        print(f"{MADE.relative_to(CHECKOUT)}: {len(page) / 1000:.0f} kB")
    elif not MADE.exists() or MADE.read_text() != page:
        sys.exit(f"{MADE.name} is not what its sources make: tools/explorer.py")


def make():
    """The page, as text."""
    fetch()
    script, packages = bundle("main.js")
    style, _ = bundle("style.css")
    page = (PAGE / "index.html").read_text()
    return fill(page, {"policy": policy(script, style), "style": f"<style>{style}</style>",
                       "licences": json.dumps(list(licences(packages))).replace("<", "\\u003c"),
                       "script": f"<script>{script}</script>"})


def fetch():
    """The packages that the lists name, unless they are there."""
    BUILD.mkdir(parents=True, exist_ok=True)
    wanted = "".join((PAGE / name).read_text() for name in LISTS)
    done = BUILD / "done"
    if done.exists() and done.read_text() == wanted:
        return
    print("explorer.py: bringing the libraries here with npm", file=sys.stderr)
    for name in LISTS:
        shutil.copy(PAGE / name, BUILD)
    subprocess.run(NPM, cwd=BUILD, check=True)
    done.write_text(wanted)


def bundle(name):
    """A file with all that it imports, made small; and {package: its directory} of what came in."""
    told, made = BUILD / f"{name}.json", BUILD / name
    done = subprocess.run([BUILD / "node_modules/.bin/esbuild", PAGE / name, *OPTIONS, f"--metafile={told}",
                           f"--outfile={made}", "--log-level=warning"], cwd=BUILD,
                          env={**os.environ, "NODE_PATH": str(BUILD / "node_modules")})
    if done.returncode:
        sys.exit(f"explorer.py: esbuild ended with {done.returncode}")
    text = made.read_text().strip()
    assert "</script" not in text.lower() and "</style" not in text.lower()
    inputs = json.loads(told.read_text())["outputs"].values()
    used = [source for output in inputs for source, share in output["inputs"].items() if share["bytesInOutput"]]
    names = {re.match(r"node_modules/((?:@[^/]+/)?[^/]+)", source) for source in used} - {None}
    return text, {match[1]: BUILD / match[0] for match in names}


def policy(script, style):
    """Nothing may run or load but what stands in the page itself."""
    def allowed(text):
        return "'sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() + "'"
    return (f"default-src 'none'; script-src {allowed(script)}; style-src {allowed(style)}; "
            "base-uri 'none'; form-action 'none'")


def licences(packages):
    """What each library is, and the words under which it may be passed on."""
    for name in sorted(packages):
        about = json.loads((packages[name] / "package.json").read_text())
        texts = [path.read_text() for path in sorted(packages[name].iterdir()) if LICENCE.search(path.name)]
        assert texts, f"{name} has no licence file"
        yield {"name": name, "version": about["version"], "licence": about["license"], "text": texts[0].strip()}


def fill(page, parts):
    """A template's `<!-- NAME -->` and `{NAME}` replaced, each once."""
    for name, text in parts.items():
        mark = next(mark for mark in (f"<!-- {name} -->", f"{{{name}}}") if page.count(mark) == 1)
        page = page.replace(mark, text)
    return page


if __name__ == "__main__":
    main()

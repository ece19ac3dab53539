"""`workshop layers`: what each layer does to the tree, what it wastes, and what is hidden and still there."""
import json
import os
import subprocess
import sys
import time

import pytest

from making import Layout, folder as directory, images, member, tar  # noqa: F401
from registries import Faulty
from crabcan_workshop.layers import advice, command, index as index_
from crabcan_workshop.layers.index import Index
from crabcan_workshop.layers.page import page
from crabcan_workshop.layers.source import image_at
from crabcan_workshop.layers.waste import Report, compare
from crabcan_steps.images.errors import ImageError
from crabcan_steps.images.found import Options
from crabcan_steps.images.pull import pull
from crabcan_steps.images.store import Store

KEY = "-----BEGIN OPENSSH PRIVATE KEY-----\nnone\n"
BUILT = ([tar(directory("app"), member("app/big", "x" * 30_000), member("app/key", KEY)),
          tar(member("app/big", "x" * 30_000, uid=33)),
          tar(member("app/.wh.key"), member("app/big", "y" * 1000), member("etc/<b>&", "odd"))],
         [{"created_by": "COPY . /app"}, {"created_by": "ENV a=b", "empty_layer": True}, {"created_by": "RUN chown -R web /app"},
          {"created_by": "RUN rm /app/key"}])


@pytest.fixture
def store(tmp_path):
    made = Store(str(tmp_path / "store"))
    yield made
    made.close()


@pytest.fixture
def index(store, tmp_path):
    return read(store, tmp_path / "layout", *BUILT[0], history=BUILT[1])


def read(store, path, *layers, **fields):
    Layout(path).image(*layers, **fields)
    options = Options()
    options.quiet = True
    return Index(pull(store, f"oci:{path}", options, path.name)).read(store.open)


def whats(step):
    return {path: change.what for path, change in step.changes.items()}


def test_a_layer_of_too_many_files_is_not_kept_in_memory(index, monkeypatch, tmp_path):
    monkeypatch.setattr(index_, "MOST_FILES", 20)
    layout = Layout(tmp_path / "many")
    layout.image(tar(*(member(f"f{n}") for n in range(30))))
    with image_at(f"oci:{layout.path}", Options) as (image, opened), pytest.raises(ImageError, match="more than 20 files"):
        Index(image).read(opened)


def test_each_layer_adds_changes_and_removes(index):
    assert [step.command for step in index.steps] == ["COPY . /app", "RUN chown -R web /app", "RUN rm /app/key"]
    assert whats(index.steps[0]) == {"app": "added", "app/big": "added", "app/key": "added"}
    assert whats(index.steps[1]) == {"app/big": "mode"}
    assert whats(index.steps[2]) == {"app/key": "removed", "app/big": "changed", "etc/<b>&": "added"}
    assert sorted(index.tree) == ["app", "app/big", "etc/<b>&"]


def test_waste_is_all_but_the_one_copy_that_is_needed(index):
    report = Report(index)
    assert report.files == 61_000 + len(KEY) + 3
    assert report.lost == 60_000 + len(KEY)
    assert (report.wasted[0].path, report.wasted[0].size, report.wasted[0].reasons) == ("app/big", 60_000, {"mode": 1, "changed": 1})
    assert report.costs(index.steps[0]) == (30_000 + len(KEY), 0) and report.costs(index.steps[1]) == (30_000, 30_000)
    advice = " ".join(text for _, text in report.advice())
    assert "--chown" in advice and "remove it in the RUN" in advice and "write it once" in advice


def test_a_secret_that_was_removed_is_found(index):
    report = Report(index)
    assert report.hidden == [("app/key", 0, 2, ["private key"])] and report.shown == []


@pytest.mark.parametrize("text, kind", [
    ("AKIA" + "ABCDEFGHIJKLMNOP", "AWS key"), ("ghp_" + "a" * 36, "GitHub token"), ("//x/:_authToken=abcdefghijkl", "npm token"),
    ('{"auths": {"x": {"auth": "YW5uOnNlY3JldA=="}}}', "registry account"), ("DB_PASSWORD=correct-horse", "password"),
    ("nothing of the kind", None)])
def test_the_shapes_of_secrets(store, tmp_path, text, kind):
    index = read(store, tmp_path / "one", tar(member("file", text)))
    assert index.tree["file"].secrets == ([kind] if kind else [])


def test_whiteouts_and_kinds_that_change(store, tmp_path):
    index = read(store, tmp_path / "one", tar(directory("d"), member("d/a", "a"), member("d/b", "b"), member("f", "f"), directory("o"), member("o/x", "x")),
                 tar(member("d", "a file now"), directory("f"), member("f/in", "in"), member("o/.wh..wh..opq"), member("o/y", "y"), member(".wh.none")))
    assert whats(index.steps[1]) == {"d/a": "removed", "d/b": "removed", "d": "changed", "f": "changed", "f/in": "added",
                                     "o/x": "removed", "o/y": "added"}
    assert sorted(index.tree) == ["d", "f", "f/in", "o", "o/y"]


def test_two_images(store, tmp_path):
    base = tar(member("same", "1"), member("other", "1"), member("mode", "1"))
    one = read(store, tmp_path / "one", base, tar(member("left", "1")))
    two = read(store, tmp_path / "two", base, tar(member("right", "1"), member("other", "2"), member("mode", "1", mode=0o600)))
    assert compare(one, two) == {"only in the first": ["left"], "only in the second": ["right"], "different": ["other"],
                                 "other owner or mode": ["mode"], "shared layers": 1}


def test_the_page_is_whole_and_no_name_is_markup(index):
    text = page(Report(index))
    assert "<code>ENV a=b</code>" in text and "30 kB less: changes only owners" in text
    assert text.count("<details>") == 3 and "etc/&lt;b&gt;&amp;" in text and "/etc/<b>" not in text
    data = json.loads(text.partition("id=data>")[2].partition("</script>")[0])
    assert data == Report(index).data()


def test_the_command_its_thresholds_and_what_it_prints(index, tmp_path):
    def layers(*words):
        return subprocess.run([sys.executable, "-m", "crabcan_workshop", "layers", *words], text=True, capture_output=True, timeout=60,
                              env={**os.environ, "CRABCAN_STORE": str(tmp_path / "store"), "COLUMNS": "200"})
    assert "hidden by layer 2, and still there" in layers("layout").stdout
    assert "- key" in layers("layout", "--layer", "2").stdout and "- key" not in layers("layout", "--layer", "2", "--filter", "etc").stdout
    assert json.loads(layers("layout", "--json").stdout)["wasted"] == 60_000 + len(KEY)
    assert layers("layout", "--ci", "--min-efficiency", "0").returncode == 0
    for words in (["--max-wasted", "1k", "--min-efficiency", "0"], ["--no-secrets", "--min-efficiency", "0"], []):
        result = layers("layout", "--ci", *words)
        assert result.returncode == 3 and result.stderr
    assert layers("nowhere/none").returncode == 1


def test_an_image_that_repeats_many_files_is_read_once(store, tmp_path, request):
    """Ten layers of the same files: what dive's users waited minutes for."""
    many = 20_000 if request.config.getoption("long") else 300
    layer = [tar(*(member(f"d/{n}", str(n), uid=at) for n in range(many))) for at in range(10)]
    begun = time.monotonic()
    path = tmp_path / "layout"
    Layout(path).image(*layer)
    options = Options()
    options.quiet = True
    image = pull(store, f"oci:{path}", options)
    begun = time.process_time()
    report = Report(Index(image).read(store.open))
    assert 0 < time.process_time() - begun < many / 100
    assert report.wasted[0].times == 9


def test_another_machine_s_image_does_not_take_the_name_of_ours(tmp_path, monkeypatch):
    layout = Layout(tmp_path / "layout")
    layout.image(tar(member("own", "1")))
    monkeypatch.setenv("CRABCAN_STORE", str(tmp_path / "store"))
    options = Options()
    options.insecure = True
    with Faulty(layout) as server:
        for platform in None, "linux/amd64":
            options.platform = platform
            with image_at(f"{server.host}/it", options):
                pass
    store = Store()
    assert sorted(name.partition("/")[2] for name in store.names()) == ["it:latest", "it:latest-linux-amd64"]
    store.close()


def test_a_bug_too_is_one_line(monkeypatch, capsys):
    monkeypatch.setattr(command, "shown", lambda options: {}["no\nsuch"])
    assert command.main(None) == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_each_line_and_what_would_have_saved_it(store, tmp_path):
    """As builders write them down; caches that a layer brings are named, with what keeps them out."""
    index = read(store, tmp_path / "one", tar(member("var/lib/apt/lists/all", "x" * 50_000), member("usr/bin/x", "x" * 9000), member("src/.git/pack", "x" * 20_000)),
                 tar(member("var/lib/apt/lists/.wh.all")),
                 history=[{"created_by": "RUN |1 a=b /bin/sh -c apt-get update   && apt-get install -y x # buildkit"},
                          {"created_by": "/bin/sh -c #(nop)  CMD [\"sh\"]", "empty_layer": True}, {"created_by": "/bin/sh -c rm -r /var/lib/apt/lists/*"}])
    first, second, third = Report(index).lines
    assert [one.text for one in (first, second, third)] == ["RUN apt-get update && apt-get install -y x", 'CMD ["sh"]', "RUN rm -r /var/lib/apt/lists/*"]
    assert [(size, text.partition(":")[0]) for size, text in first.cures] == [(50_000, "brings apt's lists and packages"), (20_000, "brings a repository's history")]
    assert second.step is None and third.cures == [(50_000, "removes what layer 0 brought, and it stays in there: " + advice.IN_ONE)]


def test_a_directory_removed_and_made_again_by_one_layer_is_there(store, tmp_path):
    index = read(store, tmp_path / "one", tar(directory("d"), member("d/a/b", "1")), tar(member(".wh.d"), directory("d"), member("d/c", "2")))
    assert whats(index.steps[1]) == {"d/a/b": "removed", "d/c": "added"} and sorted(index.tree) == ["d", "d/c"]

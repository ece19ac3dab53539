"""The notebooks: kept as sources, and each runs from a clean kernel, for root and for a user."""
import json
import os
import shutil
import subprocess
import sys
import sysconfig
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nbformat
import pytest

from conftest import CHECKOUT

NOTEBOOKS = sorted((CHECKOUT / "notebooks").glob("*.ipynb"))
EXECUTED = CHECKOUT / "build" / "notebooks"
TOOL = CHECKOUT / "tools" / "notebooks.py"
AT_ONCE = 2
UNUSED = ("jupyterlab", "notebook", "babel", "widgetsnbextension", "material", "mkdocs")  # large

# Runs a notebook as whoever starts it; prints the cell that failed, if any, and the executed copy.
EXECUTE = """
import json, re, sys
import nbformat
from jupyter_client import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

notebook = nbformat.read(sys.argv[1], 4)
# Sockets in the folder: two that look for free ports at once may find the same.
kernel = AsyncKernelManager(kernel_name="python3", transport="ipc", ip=sys.argv[2] + "/kernel",
                            connection_file=sys.argv[2] + "/kernel.json")
client = NotebookClient(notebook, km=kernel, timeout=400,
                        resources={"metadata": {"path": sys.argv[2]}})
failure = ""
try:
    client.execute()
except CellExecutionError as error:
    cell, output = next((cell, output) for cell in notebook.cells for output in cell.get("outputs", ())
                        if output.output_type == "error")
    plain = re.sub("\\x1b\\[[0-9;]*m", "", "\\n".join(output.traceback))
    line = "".join(re.findall("^-+> *[0-9]+ (.*)", plain, re.MULTILINE)[:1])
    failure = f"cell {cell.id}: {error.ename}: {error.evalue} ({line})"
print(json.dumps([failure, nbformat.writes(notebook)]))
"""


def test_there_is_one_for_each_chapter():
    chapters = [path.stem[2:] for path in sorted((CHECKOUT / "crabcan_steps").glob("ch[0-9][0-9]_*.py"))]
    assert [path.stem for path in NOTEBOOKS] == [name.replace("_", "-") for name in chapters]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_format(path):
    nbformat.validate(nbformat.read(path, 4))
    done = subprocess.run([sys.executable, TOOL, "--check", path], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_check_sees_outputs_and_bad_ids_and_write_mends_what_it_can(tmp_path):
    path = tmp_path / NOTEBOOKS[0].name
    notebook = json.loads(NOTEBOOKS[0].read_text())
    cell = next(cell for cell in notebook["cells"] if cell["cell_type"] == "code")
    cell["outputs"] = [{"output_type": "stream", "name": "stdout", "text": "left"}]
    path.write_text(json.dumps(notebook))

    def tool(*words):
        return subprocess.run([sys.executable, TOOL, *words, path], capture_output=True, text=True)

    assert tool().returncode == 1 and "has outputs" in tool().stdout
    assert tool("--write").returncode == 0
    assert path.read_bytes() == NOTEBOOKS[0].read_bytes()
    cell["id"] = notebook["cells"][0]["id"]
    path.write_text(json.dumps(notebook))
    assert "is there already" in tool("--write").stdout
    cell["id"] = "0f3a"
    path.write_text(json.dumps(notebook))
    assert "'0f3a'" in tool("--write").stdout


# ---------------------------------------------------------------- running them

@pytest.fixture(scope="session")
def packages(readable):
    """Where the user's Python finds everything: `readable`, with the notebooks' packages too."""
    for entry in Path(sysconfig.get_path("purelib")).iterdir():
        copy = readable / entry.name
        if entry.name.startswith(UNUSED) or copy.exists():
            continue
        if entry.is_dir():
            shutil.copytree(entry, copy, ignore=shutil.ignore_patterns("__pycache__", "tests"))
        elif entry.suffix == ".py" or ".so" in entry.suffixes:
            shutil.copy(entry, copy)
    subprocess.run(["chmod", "-R", "a+rX", readable], check=True)
    return readable


def execute(who, path, folder):
    """Runs a notebook in a folder of the user's; saves the executed copy; returns what failed."""
    copy = folder / path.name
    copy.write_bytes(path.read_bytes())
    copy.chmod(0o644)
    own = {"HOME": folder, "IPYTHONDIR": folder / "ipython", "JUPYTER_RUNTIME_DIR": folder / "run",
           "JUPYTER_CONFIG_DIR": folder / "config", "JUPYTER_DATA_DIR": folder / "data"}
    environment = who.environment | {name: str(value) for name, value in own.items()}
    done = subprocess.run([*who.python, "-c", EXECUTE, copy, folder], env=environment, cwd="/",
                          capture_output=True, text=True, timeout=1100)
    if done.returncode:
        return f"{path.name}: {done.stderr.strip().splitlines()[-1]}"
    failure, text = json.loads(done.stdout.splitlines()[-1])
    keep(text, EXECUTED / ("" if who.uid == os.geteuid() else "user") / path.name)
    return failure and f"{path.name}: {failure}"


def keep(text, path):
    """Writes an executed copy; under sudo it belongs to the owner of the checkout."""
    made = [folder for folder in path.parents if not folder.exists()]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    owner = CHECKOUT.stat()
    for one in (*made, path):
        os.chown(one, owner.st_uid, owner.st_gid)


@pytest.fixture(scope="session")
def executions(request):
    """Runs all the notebooks that are asked for, two at a time: (who, path) -> Future; and start()."""
    futures, folders = {}, []

    def start(who, kind):
        for item in request.session.items:
            if item.originalname == test_it_runs.__name__ and item.callspec.params["who"] == kind:
                path = item.callspec.params["path"]
                folder = Path("/tmp", f"crabcan-nb-{os.getpid()}-{kind}-{path.stem[:2]}")
                folder.mkdir(mode=0o755)
                folders.append(folder)
                if os.geteuid() == 0:
                    os.chown(folder, who.uid, who.uid)
                futures[kind, path] = pool.submit(execute, who, path, folder)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield futures, start
    for folder in folders:
        shutil.rmtree(folder)


@pytest.mark.slow
@pytest.mark.timeout(1200)  # an emulated guest is slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_runs(who, path, packages, executions, request):
    futures, start = executions
    kind = request.node.callspec.params["who"]
    if (kind, path) not in futures:
        start(who, kind)
    failure = futures[kind, path].result()
    assert not failure, failure

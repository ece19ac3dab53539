"""The `crabcan` that pip installs (tools/crabcan): as quick and as quiet as ours."""
import subprocess
import tomllib

from conftest import CHECKOUT

SCRIPT = CHECKOUT / "tools" / "crabcan"


def test_it_is_what_pip_installs():
    settings = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())
    assert settings["tool"]["setuptools"]["script-files"] == ["tools/crabcan"]
    assert "crabcan" not in settings["project"]["scripts"]
    assert SCRIPT.read_text().startswith("#!python\n")  # the installer puts its interpreter there


def test_the_status_is_the_commands(who):
    script = SCRIPT.read_text()
    for status in 0, 9, 127:
        command = ["sh", "-c", f"exit {status}"] if status < 127 else ["nowhere"]
        result = who.script(script, "run", "--", *command)
        assert result.returncode == status, result.stderr
    assert who.script(script, "--version").stdout.startswith("crabcan ")


def test_it_imports_nothing_that_our_own_way_does_not(root):
    """pip's own script would begin with re: 5 ms and more, where a container takes 20."""
    def modules(*words):
        result = subprocess.run([*root.python, "-X", "importtime", *words, "--version"], env=root.environment,
                                capture_output=True, text=True, cwd="/")
        return {line.rpartition("|")[2].strip() for line in result.stderr.splitlines()}
    more = modules(str(SCRIPT)) - modules("-m", "crabcan_steps")
    assert "re" not in more and more <= {"crabcan_steps.__main__"}, more


def test_ctrl_c_before_our_first_lines_are_done_is_no_traceback(who):
    text = "import _signal\ndef interrupted(*_): raise KeyboardInterrupt\n_signal.signal = interrupted\n"
    result = who.script(text + SCRIPT.read_text(), "run", "--", "true")
    assert (result.returncode, result.stderr) == (130, "")

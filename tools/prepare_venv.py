"""Make a virtual environment that can run one make target, on a fresh machine.

Promise: it either leaves an environment in which the asked extras are installed, or ends with
an `error:` line, a `hint:` line and exit code 1. It runs before anything is installed, so it uses
the standard library only, and no syntax newer than Python 3.7, to be able to say that one is too old.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys

PYTHON_MIN = (3, 11)
TORCH_VERSION = "2.13.0"


def main() -> None:
    """Read the command line, check the machine, make the environment."""
    parser = argparse.ArgumentParser(description="Make a virtual environment for one make target.")
    parser.add_argument("venv", help="folder of the environment; kept if it already works")
    parser.add_argument("--extras", default="", help="extras of pyproject.toml, comma separated")
    parser.add_argument(
        "--torch", default="", help="requirement for torch; empty: chosen, see torch_candidates"
    )
    parser.add_argument(
        "--constraints", default="", help="pip constraints file; empty: newest allowed versions"
    )
    parser.add_argument("--pip-args", default="", help="arguments for every pip install, blank separated")
    arguments = parser.parse_args()
    check_python()
    python = make_venv(arguments.venv)
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"]
    pip += arguments.pip_args.split()
    if arguments.constraints:
        pip += ["--constraint", arguments.constraints]
    install_torch(pip, [arguments.torch] if arguments.torch else torch_candidates())
    install_ringfence(pip, arguments.extras)


def check_python() -> None:
    """End the program unless this Python is new enough and can make environments."""
    have = ".".join(map(str, sys.version_info[:2]))
    need = ".".join(map(str, PYTHON_MIN))
    if sys.version_info < PYTHON_MIN:
        fail(f"Python {have} found, {need} or newer needed", f"make PYTHON=/path/to/python{need}")
    missing = [name for name in ("venv", "ensurepip") if not can_import(name)]
    if missing:
        fail(
            f"{sys.executable} lacks the standard module {' and '.join(missing)}",
            f"on Debian and Ubuntu: apt install python{have}-venv (or python3-venv)",
        )


def can_import(name: str) -> bool:
    """Say whether this Python has the module."""
    try:
        __import__(name)
    except ImportError:
        return False
    return True


def make_venv(folder: str) -> str:
    """Make the environment unless one that answers is there; return the path of its Python."""
    python = os.path.join(folder, "bin", "python")
    works = os.path.exists(python) and succeeds([python, "-m", "pip", "--version"])
    if not works:
        say(f"making {folder} with Python {platform.python_version()}")
        if subprocess.call([sys.executable, "-m", "venv", "--clear", folder]) != 0:
            fail(f"no virtual environment could be made in {folder}", "its message is above")
    return python


def succeeds(command: list[str]) -> bool:
    """Run a command without showing what it says."""
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def torch_candidates() -> list[str]:
    """Name the builds of torch to try, best first.

    On Linux the plain wheel brings gigabytes of CUDA libraries. The build for the CPU alone has a
    version that ends in `+cpu` and is offered by some package indexes only, so it is tried first
    and the plain one after it. Elsewhere the plain wheel is the one for the CPU.
    """
    plain = f"torch=={TORCH_VERSION}"
    return [f"{plain}+cpu", plain] if platform.system() == "Linux" else [plain]


def install_torch(pip: list[str], candidates: list[str]) -> None:
    """Install the first of the candidates that the configured package indexes offer."""
    for candidate in candidates:
        say(f"installing {candidate}")
        run = subprocess.run([*pip, candidate], stderr=subprocess.PIPE, text=True, check=False)
        if run.returncode == 0:
            return
        if candidate == candidates[-1] or "No matching distribution" not in run.stderr:
            sys.stderr.write(run.stderr)
            fail(
                f"pip could not install {candidate}",
                "its message is above; make TORCH=... names another version",
            )
        say(f"{candidate} is not offered by the configured package index; the plain build follows,")
        say("about 6 GB on disk with CUDA. To avoid it stop now and name an index that has the CPU build")
        say("(the install page of torch gives its address): make PIP_ARGS='--extra-index-url ADDRESS' ...")


def install_ringfence(pip: list[str], extras: str) -> None:
    """Install this checkout, editable, with its extras."""
    target = f".[{extras}]" if extras else "."
    say(f"installing {target}")
    if subprocess.call([*pip, "--editable", target]) != 0:
        fail(
            f"pip could not install {target}", "its message is above; make PIP_ARGS=... passes pip arguments"
        )


def say(text: str) -> None:
    """Tell the user what happens; on stderr, because stdout belongs to the make target."""
    sys.stderr.write(f"setup: {text}\n")
    sys.stderr.flush()


def fail(found: str, hint: str) -> None:
    """End the program with what was found and what to do."""
    sys.exit(f"error: {found}\nhint: {hint}")


if __name__ == "__main__":
    main()

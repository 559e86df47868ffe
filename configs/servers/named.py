"""Runs a server that knows models by their folders so that it serves one under a name.

    named.py --checkpoint DIR --name smollm2 -- transformers serve smollm2 --port 8001
    named.py --checkpoint DIR --name smollm2 -- mlx_lm.server --model smollm2 --port 8001

The server is started in a folder of its own, in which NAME is a link to the checkpoint: so it
loads the name that requests give. It ends with this process, and this process with the one that
started it.
"""

import argparse
import ctypes
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import FrameType

CHECK_SECONDS = 0.5
PR_SET_PDEATHSIG = 1  # from <linux/prctl.h>


class Stopped(Exception):
    """SIGTERM or SIGINT came."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--name", required=True)
    parser.add_argument("command", nargs=argparse.REMAINDER, help="after `--`")
    args = parser.parse_args()
    command = args.command[1:] if args.command[:1] == ["--"] else args.command
    parent = os.getppid()
    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    with tempfile.TemporaryDirectory(prefix="gyre-server-") as folder:
        link = Path(folder, args.name)
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(args.checkpoint.resolve(), target_is_directory=True)
        return serve(command, Path(folder), parent)


def serve(command: list[str], folder: Path, parent: int) -> int:
    """Runs the server until it ends, a signal comes, or the parent is gone."""
    # Nothing is looked up on a hub: a name that is no folder is an error.
    settings = os.environ | {"HF_HUB_OFFLINE": "1", "OMP_WAIT_POLICY": "passive"}
    # The main thread starts it, and lives as long as this process.
    server = subprocess.Popen(command, cwd=folder, env=settings, preexec_fn=end_with_parent)
    try:
        while server.poll() is None and os.getppid() == parent:
            time.sleep(CHECK_SECONDS)
    except Stopped:
        pass
    finally:
        server.kill()  # it keeps nothing that it would have to save
    return max(server.wait(), 0)


def end_with_parent() -> None:
    """In the child: has Linux kill it when its parent ends, even where that was killed."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def stop(number: int, frame: FrameType | None) -> None:
    raise Stopped


if __name__ == "__main__":
    sys.exit(main())

"""Take the documentation's pictures of every screen anew, into docs/images/screens/.

    python tools/make_screenshots.py [NAME ...] [--out FOLDER]

Run by ``make screenshots`` with the recording PC's environment (Python 3.10: psychopy,
PyQt5), under a virtual screen that this starts and ends. Each part is a program of its
own, since PsychoPy and Qt do not share a process well: it writes PNG files of any size
into the folder that it is given. They are made small here.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "docs" / "images" / "screens"
#: Part of the docs and the program that draws it: add yours here.
SCENES: dict[str, list[str]] = {
    "participant": ["-m", "tools.participant_scenes"],
    "console": ["-m", "tools.console_scenes"],
    "annotator": ["-m", "tools.annotator_scenes"],
}
WIDTH_PX = 960
MOST_BYTES = 120_000
#: Longest real time that one part may take.
PATIENCE_S = 600


def main() -> int:
    """Take the pictures of the named parts, or of all."""
    parser = argparse.ArgumentParser(description="Take the documentation's pictures of every screen anew.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which: {', '.join(SCENES)}; all by default")
    parser.add_argument("--out", type=Path, default=OUT, help="folder of the pictures")
    arguments = parser.parse_args()
    unknown = sorted(set(arguments.names) - set(SCENES))
    if unknown:
        parser.error(f"no part {', '.join(unknown)}; there are {', '.join(SCENES)}")
    arguments.out.mkdir(parents=True, exist_ok=True)
    server, environment = start_screen()
    try:
        with tempfile.TemporaryDirectory() as folder:
            for name in arguments.names or SCENES:
                take(name, Path(folder) / name, arguments.out, environment)
    finally:
        if server is not None:
            server.terminate()
            server.wait(10)
    return 0


def start_screen() -> tuple[subprocess.Popen[bytes] | None, dict[str, str]]:
    """Start a virtual screen where there is X; elsewhere the desktop is used."""
    environment = {**os.environ, "SDL_AUDIODRIVER": "dummy", "PYTHONUTF8": "1", "PYTHONPATH": str(ROOT)}
    if not sys.platform.startswith("linux"):
        return None, environment
    read_end, write_end = os.pipe()
    command = ["Xvfb", "-displayfd", str(write_end), "-screen", "0", "1920x1080x24", "+extension", "GLX", "+render"]
    server = subprocess.Popen(
        [*command, "-noreset"], pass_fds=[write_end], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    os.close(write_end)
    with os.fdopen(read_end) as answer:
        number = answer.readline().strip()
    if not number:
        sys.exit("Xvfb does not start: install it (sudo apt-get install -y xvfb)")
    return server, {**environment, "DISPLAY": f":{number}"}


def take(name: str, folder: Path, out: Path, environment: dict[str, str]) -> None:
    """Run one part and put its pictures, made small, into the documentation."""
    folder.mkdir()
    subprocess.run(
        [sys.executable, *SCENES[name], str(folder)], check=True, cwd=ROOT, env=environment, timeout=PATIENCE_S
    )
    pictures = sorted(folder.rglob("*.png"))
    if not pictures:
        sys.exit(f"{name}: no picture was taken")
    for path in pictures:
        stem = path.stem if path.stem.startswith(name) else f"{name}-{path.stem}"
        target = out / f"{stem}.png"
        n_bytes = shrink(path, target)
        print(f"{target.relative_to(ROOT) if target.is_relative_to(ROOT) else target}  {n_bytes / 1000:.0f} kB")
        if n_bytes > MOST_BYTES:
            sys.exit(f"{target.name} has {n_bytes} bytes, more than {MOST_BYTES}: show less, or fewer colours")


def shrink(source: Path, target: Path) -> int:
    """Write a picture at the documentation's width with at most 256 colours; returns its bytes."""
    from PIL import Image

    picture = Image.open(source).convert("RGB")
    if picture.width > WIDTH_PX:
        height = round(picture.height * WIDTH_PX / picture.width)
        picture = picture.resize((WIDTH_PX, height), Image.Resampling.LANCZOS)
    colours = 256
    while True:
        # No dithering: flat areas stay flat, and the file small.
        picture.quantize(colours, dither=Image.Dither.NONE).save(target, optimize=True)
        n_bytes = target.stat().st_size
        if n_bytes <= MOST_BYTES or colours <= 32:
            return n_bytes
        colours //= 2


if __name__ == "__main__":
    sys.exit(main())

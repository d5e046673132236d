"""Peak memory of `emer train`, each in a fresh process: EMERT on features computed once, and fine-tuned with its ResNet-18.

The export is planted: 40 people of 8 clips, with 8 crops of 112 px and 39 eye features a clip. Three epochs, batches of 16, one
thread; the number of epochs changes nothing. Features computed once are those of ResNet-18, read from where the run before
has put them. The peak is the system's own count of the whole process, with all that Python has loaded (VmHWM; Linux).
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.figure import figure

ROOT = Path(__file__).resolve().parent.parent

#: Trains one fold and prints the peak in MB.
CHILD = """
import json, sys
from pathlib import Path
from emer_model.training import RunConfig, train

export, out, settings = Path(sys.argv[1]), Path(sys.argv[2]), json.loads(sys.argv[3])
config = RunConfig.of("er-7", "emert", epochs=3, **settings)
train(export, out, config, folds="0", device="cpu", threads=1)
status = Path("/proc/self/status").read_text()
print(int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) / 1024)
"""


def plant(folder: Path, people: int) -> Path:
    """Write a planted export, as the tests do."""
    spec = importlib.util.spec_from_file_location("export_fixture", ROOT / "tests/emer_model/export_fixture.py")
    if spec is None or spec.loader is None:
        raise FileNotFoundError("tests/emer_model/export_fixture.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.write_export(folder, participants=people, clips=8, eye_features=39)


def weights(path: Path) -> Path:
    """Write the weights of a ResNet-18, fresh ones: memory does not depend on them."""
    from emer_model.faces.backbones import build_backbone
    from emer_model.faces.weights import save_backbone

    save_backbone(path, build_backbone("resnet18"))
    return path


def peak_mb(export: Path, out: Path, settings: dict[str, Any]) -> float:
    """Train in a fresh process and return its peak."""
    command = [sys.executable, "-c", CHILD, str(export), str(out), json.dumps(settings)]
    ended = subprocess.run(command, check=True, capture_output=True, encoding="utf-8", cwd=ROOT)
    return float(ended.stdout.splitlines()[-1])


def run(quick: bool = False) -> list[dict[str, Any]]:
    figures = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        export = plant(folder / "export", 12 if quick else 40)
        frozen = {"face_backbone": "resnet18", "face_weights": str(weights(folder / "resnet18.safetensors"))}
        peak_mb(export, folder / "first", frozen)  # computes the features
        cases = (
            ("on features computed once", frozen, 450),
            ("fine-tuned, bf16", {**frozen, "face_training": "full", "precision": "bf16"}, 1200),
        )
        for what, settings, most in cases:
            found = peak_mb(export, folder / what.split()[0], settings)
            figures.append(
                figure(f"peak memory, EMERT {what}", found, "MB", target=f"at most {most}", met=found <= most)
            )
    return figures


if __name__ == "__main__":
    for one in run():
        print(json.dumps(one))

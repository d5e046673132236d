"""The official validator as a process, and what it says as data."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any


def validate(root: Path, work: Path) -> list[dict[str, Any]]:
    """Run the official validator on a dataset and its derivatives; return every issue, errors and warnings.

    Anything that it prints and that is no JSON is a failure of its own: then nobody knows what it saw.
    """
    name = "bids-validator-deno"
    command = shutil.which(name, path=str(Path(sys.executable).parent)) or shutil.which(name)
    assert command, f"{name} is not installed: pip install -e '.[dev]'"
    # Without a network, and with a cache of its own.
    environment = os.environ | {"DENO_NO_UPDATE_CHECK": "1", "DENO_DIR": str(work / "deno"), "NO_COLOR": "1"}
    done = subprocess.run(
        [command, "--recursive", "--max-rows", "-1", "--format", "json", str(root)],
        capture_output=True, env=environment, timeout=120, check=False,
    )  # fmt: skip
    try:
        said = json.loads(done.stdout.decode("utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise AssertionError(f"not JSON: {error}\n{done.stdout!r}\n{done.stderr!r}") from error
    assert not done.stderr.strip(), done.stderr.decode("utf-8", "replace")
    assert said["summary"]["totalFiles"] > 0 and "beh" in said["summary"]["dataTypes"]
    reports = {"": said, **said.get("derivativesSummary", {})}
    issues = [{"dataset": part, **issue} for part, report in reports.items() for issue in report["issues"]["issues"]]
    errors = [issue for issue in issues if issue["severity"] == "error"]
    assert bool(done.returncode) == bool(errors), (done.returncode, errors)
    return issues

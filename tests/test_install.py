from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

PROJECT = Path(__file__).resolve().parent.parent


def test_an_installed_wheel_finds_the_shipped_specs_from_any_folder(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*build, "-w", str(tmp_path), str(PROJECT)], check=True)
    (wheel,) = tmp_path.glob("*.whl")
    site = tmp_path / "site"
    zipfile.ZipFile(wheel).extractall(site)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    code = "from archspec.cli.main import main; import archspec; print(archspec.__file__); main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "cost", "cmt_s", "swin_tiny"],
        cwd=elsewhere,
        env={**os.environ, "PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert str(site) in done.stdout
    assert "26.3M" in done.stdout
    names = zipfile.ZipFile(wheel).namelist()
    assert "archspec/specs/spaces/hybrid.yaml" in names
    assert "reports/page.html" in names
    assert not any(name.startswith(("tests/", "benchmarks/")) for name in names)

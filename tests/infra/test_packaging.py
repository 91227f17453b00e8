"""What is deployed is complete, small and the same every time."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from importlib.util import find_spec
from pathlib import Path

import pytest

from infra import packaging
from infra.packaging import PROVIDED, ROOT, functions_folder, main, package_functions, package_steps, steps_folder

HANDLERS = sorted(path.parent.name for path in (ROOT / "functions").glob("*/handler.py"))
LAMBDA_LIMIT = 250 * 1024 * 1024
ENVIRONMENT = {
    "LIVE_BUCKET": "live",
    "CURATED_BUCKET": "curated",
    "ARTIFACT_BUCKET": "artifacts",
    "LEDGER_TABLE": "ledger",
    "TOPIC_ARN": "arn:aws:sns:eu-central-1:111122223333:t",
    "ANSWERS_TOPIC_ARN": "arn:aws:sns:eu-central-1:111122223333:a",
    "KMS_KEY_ARN": "arn:aws:kms:eu-central-1:111122223333:key/k",
    "AWS_DEFAULT_REGION": "eu-central-1",
    "POWERTOOLS_TRACE_DISABLED": "true",
}


@pytest.fixture(scope="session")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with nothing but what the Lambda runtime brings."""
    folder = tmp_path_factory.mktemp("runtime")
    for package in PROVIDED:
        module = {"python-dateutil": "dateutil"}.get(package, package)
        spec = find_spec(module)
        assert spec is not None
        assert spec.origin is not None
        origin = Path(spec.origin)
        source = origin.parent if origin.name == "__init__.py" else origin
        (folder / source.name).symlink_to(source)
    return folder


@pytest.mark.parametrize("name", HANDLERS)
def test_each_handler_imports_from_the_package_alone(built: None, runtime: Path, name: str) -> None:
    paths = [str(functions_folder("host")), str(runtime)]
    code = (
        f"import sys; sys.path[:0] = {paths!r}\n"
        f"import functions.{name}.handler as h; assert callable(h.handler)\n"
        "print(h.__file__)"
    )
    result = subprocess.run(
        # No site-packages, no PYTHON* variables and no current folder: nothing else can be imported.
        [sys.executable, "-S", "-E", "-P", "-B", "-W", "error", "-c", code],
        capture_output=True, text=True, check=False, timeout=60, env=ENVIRONMENT, cwd="/",
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip().startswith(str(functions_folder("host")))


def test_the_package_for_lambda_is_arm64_and_fits(built: None) -> None:
    folder = package_functions("lambda")
    assert sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) < LAMBDA_LIMIT
    native = {path.name.split(".", 1)[1] for path in folder.rglob("*.so") if "cpython" in path.name}
    assert native == {"cpython-313-aarch64-linux-gnu.so"}
    assert not (folder / "boto3").exists()


def test_only_content_decides_the_hash(tmp_path: Path) -> None:
    """What depends on the machine or the installer goes, and modes are the same everywhere."""
    for name in ("a/__init__.py", "a/__pycache__/a.pyc", "a/types.pyi", "a-1.dist-info/direct_url.json", "bin/tool"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    (tmp_path / "a" / "__init__.py").chmod(0o600)
    packaging._strip(tmp_path)
    assert [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()] == [
        "a/__init__.py"
    ]
    assert (tmp_path / "a" / "__init__.py").stat().st_mode & 0o777 == 0o644


def test_what_is_up_to_date_is_not_built_again(monkeypatch: pytest.MonkeyPatch) -> None:
    package_functions("host")
    package_steps()

    def refuse(*_: object) -> None:
        raise AssertionError("built again")

    monkeypatch.setattr(packaging, "_install", refuse)
    monkeypatch.setattr(packaging, "_strip", refuse)
    assert package_functions("host") == functions_folder("host")
    assert package_steps() == steps_folder()


def test_a_changed_source_is_built_again_and_the_old_build_stays_until_then(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    source = tmp_path / "source.py"
    monkeypatch.setattr(packaging, "ROOT", tmp_path)
    target = tmp_path / "build" / "thing"
    inputs = [source]

    def build() -> str:
        monkeypatch.setattr(packaging, "__file__", str(source))
        packaging._build(target, lambda staging: (staging / "made").write_text(source.read_text()), inputs)
        return (target / "made").read_text()

    source.write_text("one")
    assert build() == "one"
    source.write_text("two")
    with pytest.raises(ZeroDivisionError):
        packaging._build(target, lambda _: 1 / 0, inputs)
    assert (target / "made").read_text() == "one"
    assert build() == "two"


def test_the_steps_run_as_one_zip(built: None, tmp_path: Path) -> None:
    archive = tmp_path / "steps.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for path in sorted(steps_folder().rglob("*")):
            file.write(path, path.relative_to(steps_folder()))
    for step in ("prepare", "validate", "train", "evaluate"):
        result = subprocess.run(
            [sys.executable, "-E", "-P", "-B", str(archive), step, "--help"],
            capture_output=True, text=True, check=False, timeout=60, cwd=tmp_path,
        )  # fmt: skip
        assert result.returncode == 0, result.stderr
        assert "--spec" in result.stdout


def test_the_platform_is_one_of_two(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--platform", "windows"])
    assert "choose from" in capsys.readouterr().err

"""What the repository promises as a whole: it names no machine, and its figures agree."""

import configparser
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import thalweg

ROOT = Path(__file__).resolve().parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
VERSION = PYPROJECT["project"]["version"]

MACHINE_PATHS = r"(?<![\w.\-/])/(?:work|root|opt|home|Users)/"
REGISTRY_HOSTS = (
    r"\b(?:pypi\.(?:org|python\.org)|pythonhosted\.org|npmjs\.(?:org|com)|crates\.io"
    r"|proxy\.golang\.org|deb\.debian\.org|anaconda\.org)\b"
)
PRIVATE_HOSTS = r"https?://(?:localhost|\d+\.\d+\.\d+\.\d+|[\w\-]+(?:\.internal|\.local)?)[:/]"
FORBIDDEN = re.compile("|".join((MACHINE_PATHS, REGISTRY_HOSTS, PRIVATE_HOSTS)))


def project_files() -> list[Path]:
    """Every file that is, or would be, committed."""
    git = shutil.which("git")
    if git is None or not (ROOT / ".git").exists():
        pytest.skip("this copy of the project is not a git checkout")
    command = [git, "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout.split(b"\0")
    paths = [ROOT / name.decode() for name in names if name]
    return [path for path in paths if path.is_file()]


def text_of(path: Path) -> str:
    content = path.read_bytes()
    return "" if b"\0" in content else content.decode("utf-8", errors="replace")


@pytest.mark.parametrize(
    "text",
    [
        "/" + "work/main/src",
        "see '/" + "root/x'",
        "pypi" + ".org/simple",
        "files.python" + "hosted.org",
        "registry.npm" + "js.org",
        "http://" + "localhost:8080",
        "http://10.0.0." + "1/simple",
        "https://mirror" + ".internal/",
    ],
)
def test_the_patterns_find_what_they_should(text):
    assert FORBIDDEN.search(text)


@pytest.mark.parametrize(
    "text", ["src/work/part.py", "a/root/b", "https://example.org/", "../shared/data", "n/opt/m"]
)
def test_the_patterns_leave_the_rest_alone(text):
    assert not FORBIDDEN.search(text)


def test_nothing_names_a_machine_or_a_registry():
    files = project_files()
    assert Path(__file__) in files
    found = [
        f"{path.relative_to(ROOT).as_posix()}:{number}: {match.group()}"
        for path in files
        for number, line in enumerate(text_of(path).splitlines(), 1)
        for match in FORBIDDEN.finditer(line)
    ]
    assert found == []


def test_the_readme_starts_with_demo_and_test():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```(?:sh|bash|shell|console)\n(.*?)^```", readme, re.M | re.S)
    lines = [line.strip().removeprefix("$ ") for block in blocks for line in block.splitlines()]
    commands = [line.split("#")[0].strip() for line in lines if line and not line.startswith("#")]
    assert commands[:2] == ["make demo", "make test"]


def test_the_changelog_tells_of_this_version():
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.search(rf"^## {re.escape(VERSION)}\b", changelog, re.M)


def test_the_package_has_the_version_of_the_project():
    assert thalweg.__version__ == VERSION


def locked(name: str) -> dict[str, str]:
    """The versions of one lock by package; every line must be exact."""
    versions: dict[str, str] = {}
    for line in (ROOT / "requirements" / name).read_text(encoding="utf-8").splitlines():
        if not line.startswith(("#", "-r run.txt")):
            package, exact, version = line.partition("==")
            assert exact, f"requirements/{name}: {line!r} is not name==version"
            assert re.fullmatch(r"[a-z0-9\-]+", package), package
            assert re.fullmatch(r"[0-9][0-9.]*", version), line
            versions[package] = version
    return versions


def test_the_lock_holds_every_dependency_in_a_version_that_the_project_takes():
    run = locked("run.txt")
    wanted = [*PYPROJECT["project"]["dependencies"], *PYPROJECT["build-system"]["requires"]]
    for requirement in map(Requirement, wanted):
        assert run[requirement.name] in requirement.specifier


def test_no_package_is_locked_twice():
    assert not locked("run.txt").keys() & locked("dev.txt").keys()


@pytest.fixture
def import_rules() -> configparser.ConfigParser:
    rules = configparser.ConfigParser()
    rules.read(ROOT / ".importlinter", encoding="utf-8")
    return rules


def test_every_floor_that_exists_is_required_by_the_import_rules(import_rules):
    floors = import_rules["importlinter:contract:floors"]["layers"].split()
    package = ROOT / "src" / "thalweg"
    for floor in floors:
        name = floor.strip("()")
        exists = (package / name / "__init__.py").exists() or (package / f"{name}.py").exists()
        assert exists == (floor == name), f"{floor}: parentheses are for floors still to come"


def test_the_import_rules_keep_data_and_files_clear_of_the_graph(import_rules):
    forbidden = import_rules["importlinter:contract:no-graph"]
    assert set(forbidden["source_modules"].split()) == {"thalweg.data", "thalweg.storage"}
    assert "thalweg.graph" in forbidden["forbidden_modules"].split()


@pytest.mark.skipif(sys.platform == "win32", reason="make is not part of Windows")
def test_make_help_lists_the_targets():
    make = shutil.which("make")
    if make is None:
        pytest.skip("make is not installed")
    done = subprocess.run([make, "help"], cwd=ROOT, capture_output=True, text=True, check=True)
    for target in ("demo", "test", "soak", "lint", "format", "clean", "help"):
        assert f"make {target} " in done.stdout

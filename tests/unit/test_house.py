"""The house: imports run one way, rooms are light where they must be, the lock is in step."""

import ast
import io
import re
import subprocess
import sys
import tokenize
import tomllib
from collections import Counter
from pathlib import Path

import pytest
import yaml

from normscan.detectors import registry as detectors
from normscan.models import registry as models
from normscan.networks import registry as networks

ROOT = Path(__file__).resolve().parents[2]
LIBRARY = ROOT / "workflow_scripts" / "normscan"
ROOMS = [
    "cohorts",
    "preprocessing",
    "slices",
    "compute",
    "networks",
    "models",
    "training",
    "detectors",
    "postprocessing",
    "evaluation",
    "figures",
    "report",
]


# Packages whose name is not that of their module.
PACKAGES = {"skimage": "scikit-image", "sklearn": "scikit-learn", "ants": "antspyx"}
PACKAGES |= {"cc3d": "connected-components-3d", "yaml": "pyyaml"}


def imported_modules(path: Path) -> set[str]:
    """Absolute names of what a module imports, names of modules' contents among them."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def imported_rooms(path: Path) -> set[str]:
    """Rooms that a module imports from."""
    parts = [name.split(".") for name in imported_modules(path)]
    inside = {names[1] for names in parts if names[0] == "normscan" and len(names) > 1}
    return inside & {*ROOMS, "workflow"}


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_only_from_rooms_before_it(room):
    allowed = set(ROOMS[: ROOMS.index(room) + 1])
    files = list((LIBRARY / room).rglob("*.py"))
    assert files
    for path in files:
        assert imported_rooms(path) <= allowed, path.relative_to(ROOT)


def test_the_ground_imports_from_no_room():
    files = list(LIBRARY.glob("*.py"))
    assert len(files) > 3
    for path in files:
        assert imported_rooms(path) == set(), path.relative_to(ROOT)


def test_the_library_knows_nothing_of_snakemake():
    for path in LIBRARY.rglob("*.py"):
        assert not re.search(r"^\s*(import|from) snakemake", path.read_text(), re.M), path


def test_planning_imports_nothing_heavy():
    code = (
        "import sys; import normscan.workflow.plan; "
        "heavy = {'torch', 'ants', 'scipy', 'SimpleITK', 'matplotlib', 'pandas', 'nibabel'}; "
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT / "workflow_scripts", capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"


def test_no_pickle():
    for path in [*LIBRARY.rglob("*.py"), *(ROOT / "workflow_scripts").glob("*.py")]:
        text = path.read_text()
        assert "import pickle" not in text, path
        assert "torch.load(" not in text and "torch.save(" not in text, path
        assert "allow_pickle=True" not in text, path


def pins(lines: list[str]) -> dict[str, str]:
    pairs = [line.strip().lstrip("- ").split("==") for line in lines if "==" in line]
    return {name.lower(): version for name, version in pairs}


def test_conda_environments_pin_what_the_lock_pins():
    lock = pins((ROOT / "envs" / "lock.txt").read_text().splitlines())
    assert lock["torch"] == "2.13.0"
    files = sorted((ROOT / "envs").glob("*.yaml"))
    assert files
    for path in files:
        content = yaml.safe_load(path.read_text())
        (pip,) = [one["pip"] for one in content["dependencies"] if isinstance(one, dict)]
        for name, version in pins(pip).items():
            assert lock[name] == version, f"{path.name}: {name}"


def test_every_rule_has_log_benchmark_and_environment():
    for path in sorted((ROOT / "rules").glob("*.smk")):
        text = path.read_text()
        for block in re.split(r"^rule ", text, flags=re.M)[1:]:
            name = block.split(":")[0]
            for part in ("log:", "benchmark:", "conda:", "script:", "code="):
                assert part in block, f"{path.name}: rule {name} has no {part}"


# Names of plug-ins that are other things as well: what a plug-in expects of a slice is a volume, a
# column and a term of losses ("reconstruction"); no two plug-ins are told apart by it.
ORDINARY = {"reconstruction"}
ASKING = {"get", "pop", "setdefault", "startswith", "endswith"}


def plugin_names() -> set[str]:
    return {*models.families(), *networks.names(), *detectors.names()} - ORDINARY


def told_apart(tree: ast.AST) -> list[ast.Constant]:
    """Strings that are compared, matched, listed, or keys: where code asks which one it has."""
    found: list[ast.AST | None] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare):
            found += [node.left, *node.comparators]
        elif isinstance(node, ast.MatchValue):
            found.append(node.value)
        elif isinstance(node, (ast.List, ast.Tuple, ast.Set)):
            found += node.elts
        elif isinstance(node, ast.Dict):
            found += node.keys
        elif isinstance(node, ast.Subscript):
            found.append(node.slice)
        elif isinstance(node, ast.Call) and getattr(node.func, "attr", "") in ASKING:
            found += node.args[:1]
    return [one for one in found if isinstance(one, ast.Constant) and isinstance(one.value, str)]


def plugin_files() -> set[Path]:
    folders = {models.FOLDER: models.families(), networks.FOLDER: networks.names()}
    folders[detectors.FOLDER] = detectors.names()
    return {folder / f"{name}.py" for folder, names in folders.items() for name in names}


def test_no_file_outside_a_plug_in_tells_plug_ins_apart_by_name():
    names, own = plugin_names(), plugin_files()
    scripts = [*LIBRARY.rglob("*.py"), *(ROOT / "workflow_scripts").glob("*.py")]
    scripts += (ROOT / "rules").glob("*.py")
    for path in sorted({*scripts} - own):
        for one in told_apart(ast.parse(path.read_text())):
            words = set(re.findall(r"\w+", one.value))
            assert not words & names, f"{path.relative_to(ROOT)}:{one.lineno}: '{one.value}'"


def test_rules_name_no_plug_in():
    """Rules are no Python: none of their strings is a plug-in's name at all."""
    names = plugin_names()
    for path in [ROOT / "Snakefile", *(ROOT / "rules").glob("*.smk")]:
        for token in tokenize.generate_tokens(io.StringIO(path.read_text()).readline):
            if token.type == tokenize.STRING:
                value = token.string.strip("rRfFbB").strip("\"'")
                assert value not in names, f"{path.name}:{token.start[0]}: {token.string}"


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ('x == "vae"', True),
        ('"vae" in x', True),
        ('x in ("ae", "vae")', True),
        ('{"vae": 1}', True),
        ('x["vae"]', True),
        ('x.get("vae", 1)', True),
        ('x.startswith("vae")', True),
        ('match x:\n    case "vae":\n        pass', True),
        ('f(network="vae")', False),
        ('say("vae is one of them")', False),
    ],
)
def test_names_are_found_where_they_are_told_apart(code, found):
    assert bool(told_apart(ast.parse(code))) is found


@pytest.mark.parametrize("room", ["postprocessing", "evaluation", "figures", "report"])
def test_results_say_what_they_are_of(room):
    """Cohort, scan, protocol, model: from manifests and tables, never from where a file stands."""
    for path in [*(LIBRARY / room).rglob("*.py"), *(ROOT / "workflow_scripts").glob("*.py")]:
        found = re.search(r"parent\.(name|parent)|\.parts\b|\.split\(.\/.\)", path.read_text())
        assert not found, f"{path.relative_to(ROOT)}: {found and found[0]}"


def test_files_stay_small():
    for path in [*LIBRARY.rglob("*.py"), *(ROOT / "workflow_scripts").glob("*.py")]:
        assert len(path.read_text().splitlines()) <= 400, path
    assert len((ROOT / "Snakefile").read_text().splitlines()) < 100


def test_conda_environments_hold_what_their_scripts_import():
    """A rule's environment has every third-party package that its script reaches."""
    from normscan.workflow.fingerprint import reached_modules

    local = {"normscan"} | {path.stem for path in (ROOT / "workflow_scripts").glob("*.py")}
    for path in sorted((ROOT / "rules").glob("*.smk")):
        for block in re.split(r"^rule ", path.read_text(), flags=re.M)[1:]:
            script = re.search(r"workflow_scripts/(\w+\.py)", block)[1]
            environment = re.search(r"envs/(\w+\.yaml)", block)[1]
            pinned = pins((ROOT / "envs" / environment).read_text().splitlines())
            for module in reached_modules(script):
                file = ROOT / "workflow_scripts" / module
                if file.suffix != ".py":
                    continue
                for name in imported_modules(file):
                    top = name.split(".")[0]
                    if top not in sys.stdlib_module_names and top not in local:
                        package = PACKAGES.get(top, top).lower()
                        assert package in pinned, f"{environment}: {top}, by {module}"


def test_the_project_names_the_packages_that_it_imports():
    content = tomllib.loads((ROOT / "pyproject.toml").read_text())
    named = {name.lower() for name in content["project"]["dependencies"]}
    lock = pins((ROOT / "envs" / "lock.txt").read_text().splitlines())
    assert named <= set(lock)
    local = {"normscan"} | {path.stem for path in (ROOT / "workflow_scripts").glob("*.py")}
    for path in (ROOT / "workflow_scripts").rglob("*.py"):
        for module in imported_modules(path):
            top = module.split(".")[0]
            if top not in sys.stdlib_module_names and top not in local:
                assert PACKAGES.get(top, top).lower() in named, f"{path.name}: {top}"


def test_every_rule_that_asks_for_a_gpu_has_its_partition_in_the_cluster_profile():
    asking = set()
    for path in (ROOT / "rules").glob("*.smk"):
        for block in re.split(r"^rule ", path.read_text(), flags=re.M)[1:]:
            if re.search(r"^\s+gpu=", block, re.M):
                asking.add(block.split(":")[0])
    profile = yaml.safe_load((ROOT / "profiles/slurm/config.yaml").read_text())
    placed = {rule for rule, own in profile["set-resources"].items() if "slurm_partition" in own}
    assert asking and asking == placed


def test_modules_of_tests_have_names_of_their_own():
    """Pytest imports each by its file's name, and refuses the second of a name."""
    names = Counter(path.name for path in (ROOT / "tests").rglob("*.py"))
    assert [name for name, times in names.items() if times > 1 and name != "conftest.py"] == []

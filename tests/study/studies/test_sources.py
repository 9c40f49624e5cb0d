import subprocess
import sys
from pathlib import Path

from anytime_study.studies.sources import sources_of

ROOT = Path(__file__).parents[3]


def test_what_python_really_loads_is_found():
    """Import a module in a fresh process and compare: nothing that was loaded may be missing."""
    modules = ("study.training.checkpointed_run", "study.pages.figures", "core.networks.backbone")
    for module in modules:
        code = (
            f"import sys, anytime_{module}\n"
            "print(*(m.__file__ for n, m in sys.modules.items() if n.startswith('anytime_')))"
        )
        loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
        path = f"anytime_{module.replace('.', '/')}.py"
        found = {*sources_of(path), path}
        assert {str(Path(file).relative_to(ROOT)) for file in loaded} <= found


def test_imports_inside_of_functions_and_entries_of_registries_count():
    found = sources_of("anytime_study/runs/config.py")
    assert "anytime_study/runs/sampled.py" in found  # only named in the registry
    assert "anytime_core/networks/msdnet.py" in found


def test_a_chapter_of_theory_does_not_depend_on_training():
    found = sources_of("notebooks/sequences_in_full.ipynb")
    assert "anytime_study/theory/cost_inflation.py" in found
    assert "anytime_study/pages/figures.py" in found
    assert not [path for path in found if "training" in path or "weighting" in path or "networks" in path]
    assert "anytime_study/theory/slow_exit.py" not in found


def test_training_does_not_depend_on_pages():
    found = sources_of("anytime_study/training/checkpointed_run.py")
    assert "anytime_study/training/loop.py" in found
    assert not [path for path in found if "theory" in path or path.endswith(("figures.py", "publishing.py", "cli.py"))]


def test_public_names_lead_to_their_modules(tmp_path):
    module = tmp_path / "user.py"
    module.write_text("from anytime_core import AdaLoss, __version__\nimport numpy\n")
    found = sources_of(module)
    assert "anytime_core/weighting/adaloss.py" in found
    assert "anytime_study/training/loop.py" not in found
    module.write_text("import anytime_core\n")
    assert sources_of(module) == ["anytime_core/__init__.py"]

"""Kubernetes without a cluster: manifests, and what Snakemake's executor makes of the profile."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import kubernetes_validate
import pytest
import yaml

from anytime_study.runs.record import load_outcome
from anytime_study.studies.study import load_study
from anytime_study.training.loop import train
from tests.kubernetes.stand_in import stand_in

ROOT = Path(__file__).parents[2]
PROFILE = yaml.safe_load((ROOT / "workflow/profiles/kubernetes/config.yaml").read_text())
FILES = sorted((ROOT / "workflow/kubernetes").glob("*.yaml"))
MANIFESTS = [manifest for file in FILES for manifest in yaml.safe_load_all(file.read_text())]
OLDEST = "1.27"  # both ends of what is checked; kubernetes-validate has a schema for each version


def of(kind):
    (manifest,) = [manifest for manifest in MANIFESTS if manifest["kind"] == kind]
    return manifest


@pytest.mark.parametrize("version", [OLDEST, kubernetes_validate.latest_version()])
@pytest.mark.parametrize("manifest", MANIFESTS, ids=lambda manifest: manifest["kind"])
def test_manifests_are_what_kubernetes_expects(manifest, version):
    kubernetes_validate.validate(manifest, version, strict=True)


def test_a_misspelt_field_is_not():
    manifest = {**of("PersistentVolumeClaim"), "spec": {"accessMode": ["ReadWriteMany"]}}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(manifest, OLDEST, strict=True)


def test_manifests_and_profile_name_the_same_things():
    volume, job = of("PersistentVolumeClaim")["metadata"]["name"], of("Job")["spec"]["template"]["spec"]
    namespace, account = of("Namespace")["metadata"]["name"], of("ServiceAccount")["metadata"]["name"]
    assert {m["metadata"]["namespace"] for m in MANIFESTS if m["kind"] != "Namespace"} == {namespace}
    assert PROFILE["kubernetes-namespace"] == namespace
    assert PROFILE["kubernetes-service-account-name"] == job["serviceAccountName"] == account
    (mount,) = job["containers"][0]["volumeMounts"]
    assert PROFILE["kubernetes-persistent-volumes"] == [f"{volume}:{mount['mountPath']}"]
    assert PROFILE["default-storage-prefix"] == mount["mountPath"] == job["containers"][0]["workingDir"]
    assert job["volumes"][0]["persistentVolumeClaim"]["claimName"] == volume
    images = {container["image"] for container in (*job["initContainers"], *job["containers"])}
    assert images == {PROFILE["container-image"]}
    assert PROFILE["container-image"] in job["containers"][0]["args"]
    assert (ROOT / job["containers"][0]["args"][1].partition("=")[2]).is_file()


def test_the_image_takes_its_versions_from_the_lock():
    text = (ROOT / "workflow/kubernetes/Containerfile").read_text()
    lock = (ROOT / "requirements.lock").read_text()
    for package in ("uv", "snakemake-storage-plugin-fs"):
        assert f"'^{package}==[0-9.]*'" in text
        assert f"\n{package}==" in lock


@pytest.mark.skipif(shutil.which("rsync") is None, reason="Snakemake's storage on a volume needs rsync")
def test_a_run_makes_its_record_from_nothing_but_the_volume(tmp_path):
    """The driver and a job as on a cluster, but as processes of this machine; the volume is a clone."""
    volume, pods, programs = tmp_path / "volume", tmp_path / "pods", tmp_path / "bin"
    subprocess.run(["git", "clone", "--quiet", ROOT, volume], check=True)
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    for file in subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0"):
        if file and (ROOT / file).is_file():
            (volume / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / file, volume / file)
    common = {"train_size": 128, "batch_size": 32, "epochs": 1, "network": "resann(n=1, c=4)"}
    study = {"title": "One run", "tier": "quick", "committed": False, "common": common, "grids": [{}]}
    (volume / "workflow/studies/one.yaml").write_text(yaml.safe_dump(study))
    subprocess.run(["git", "add", "--all"], cwd=volume, check=True)  # jobs get what git tracks
    (config,) = load_study(volume / "workflow/studies/one.yaml")[1]

    pods.mkdir()
    programs.mkdir()
    pip = programs / "pip"  # in a job it installs what is in this environment already
    pip.write_text("#!/bin/sh\nexit 0\n")
    pip.chmod(0o755)
    env = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    env["PATH"] = os.pathsep.join([str(programs), str(Path(sys.executable).parent), env["PATH"]])
    command = [
        "python",
        "-m",
        "snakemake",
        "study",
        "--config",
        "study=workflow/studies/one.yaml",
        "--workflow-profile",
    ]
    command += ["workflow/profiles/kubernetes", "--default-storage-prefix", str(volume), "--retries", "0"]
    with stand_in(pods, env) as server:
        done = subprocess.run(
            [*command, "--seconds-between-status-checks", "1"],
            cwd=volume,
            env={**env, "KUBECONFIG": str(server.kubeconfig)},
            capture_output=True,
            text=True,
            timeout=900,
        )
        assert done.returncode == 0, done.stdout + done.stderr + "".join(server.answers.values())
    assert server.errors == []
    (job,) = server.jobs.values()
    (container,) = job["spec"]["template"]["spec"]["containers"]
    assert container["image"] == PROFILE["container-image"]
    assert container["resources"]["requests"] == {"cpu": "950m", "memory": "4000M", "ephemeral-storage": "4000M"}
    assert {"name": "anytime-study", "mountPath": "/study"} in container["volumeMounts"]

    record = load_outcome(volume / "data/records/quick" / f"{config.name}.json")
    alone = load_outcome(train(config, progress=False).save(tmp_path / "alone"))
    assert record.results() == alone.results()
    assert (volume / "build/logs/quick" / f"{config.name}.ipynb").exists()

    allowed = {(verb, name) for rule in of("Role")["rules"] for name in rule["resources"] for verb in rule["verbs"]}
    assert ("create", "jobs") in server.calls
    assert server.calls <= allowed

"""A device and a measurement that never were."""

from benchmarks.reports import Device, Made

DEVICE = Device(name="made up", kind="cpu", cpu="made up", cores=2, features=[])
MADE = Made(
    package="0",
    commit=None,
    dirty=None,
    torch="0",
    python="0",
    platform="nowhere",
    threads=1,
    load_average=0.0,
    seconds=1.0,
    setting="made up",
)

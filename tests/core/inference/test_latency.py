import dataclasses
import json
import math

import pytest
import torch

from anytime_core import AnytimePredictor, LatencyTable, ResANN, measure_latency
from anytime_core.errors import InputError
from anytime_core.inference.latency import Quantiles, device_name, find_table, fingerprint
from tests.core.inference.networks import KINDS, SHAPE, adopted, small, two_resanns
from tests.core.on_device import DEVICE, on_device, randn

IMAGE = randn(1, *SHAPE)
TEXT = f"float32 {[1, *SHAPE]}"


def network(n=1, **options):
    return on_device(ResANN(n=n, c=4, in_channels=1, **options))


@pytest.fixture(scope="module")
def table():
    return measure_latency(AnytimePredictor(network()), IMAGE, rounds=100)


changed = dataclasses.replace


def test_a_table_says_what_was_measured(table):
    assert table.device == device_name(DEVICE)
    assert (table.threads, table.inputs) == (torch.get_num_threads(), (TEXT,))
    assert (table.rounds, table.torch) == (100, torch.__version__)
    assert [row.exit for row in table.exits] == [1, 2, 3]
    for row in table.exits:
        for times in (row.step, row.fixed, row.streamed):
            assert 0 < times.p50 <= times.p90 <= times.p99 < 10
        assert row.step.p50 <= row.streamed.p50
    medians = [row.streamed.p50 for row in table.exits]
    assert medians == sorted(medians)
    assert table.exits[0].step == table.exits[0].streamed  # the first step is all there is until then


def test_it_is_made_on_the_cpu_whatever_the_default_device_is():
    predictor = AnytimePredictor(network())
    with torch.device("meta"):
        assert measure_latency(predictor, IMAGE, rounds=100).rounds == 100


def test_a_table_survives_json(table):
    assert LatencyTable.from_dict(json.loads(json.dumps(dataclasses.asdict(table)))) == table


@pytest.mark.parametrize("change", [{"rounds": None}, {"more": 1}, {"exits": [{"exit": 1}]}, {"exits": 3}])
def test_what_is_no_table_is_refused(table, change):
    values = {name: value for name, value in {**dataclasses.asdict(table), **change}.items() if value is not None}
    with pytest.raises(InputError, match=r"^latency: .*table that measure_latency made"):
        LatencyTable.from_dict(values)


@pytest.mark.parametrize("seconds", [0.0, -1.0, math.nan, math.inf])
def test_times_that_cannot_be_are_refused(seconds):
    with pytest.raises(InputError, match=r"^latency: .*seconds"):
        Quantiles(1.0, 1.0, seconds)


def test_the_adopted_exits_of_an_eann_are_measured():
    net = adopted(on_device(two_resanns()))
    rounds = []
    table = measure_latency(AnytimePredictor(net), IMAGE, rounds=100, progress=lambda all: map(rounds.append, all))
    assert [row.exit for row in table.exits] == [1, 2, 5, 7, 8]
    assert rounds == list(range(100))
    net.adopt([0.5, 0.4, 0.3, 0.2, 0.1, 0.9, 0.9, 0.9, 0.9])
    with pytest.raises(InputError, match=r"^latency: .*network"):
        AnytimePredictor(net, table)


def test_a_table_of_several_tensors():
    first, inputs = KINDS["dict"]
    net = small(first())
    table = measure_latency(AnytimePredictor(net), inputs, rounds=100)
    assert table.inputs == ("int64 [3, 3]", "int64 [3, 3]")
    assert AnytimePredictor(net, table).predict(inputs, deadline=600.0).exit == 2
    with pytest.raises(InputError, match=r"^latency: .*int64 \[3, 3\] and int64 \[3, 3\], found int64 \[2, 3\] and"):
        AnytimePredictor(net, table).predict({name: x[:2] for name, x in inputs.items()}, deadline=1.0)


def test_too_few_rounds_and_a_network_in_the_place_of_a_predictor_are_refused():
    with pytest.raises(InputError, match=r"^rounds: "):
        measure_latency(AnytimePredictor(network()), IMAGE, rounds=99)
    with pytest.raises(InputError, match=r"^predictor: "):
        measure_latency(network(), IMAGE)


# --- a table is for one use ----------------------------------------------------------------------------------------


def test_new_weights_keep_the_table(table):
    assert AnytimePredictor(network(), table).latency is table


OTHERS = {"s": network(s=3), "n": network(n=2), "dtype": network().to(torch.bfloat16)}


@pytest.mark.parametrize(
    ("other", "change", "told"),
    [
        *((other, lambda _: {}, "network") for other in OTHERS),
        (None, lambda table: {"exits": table.exits[:2]}, "network"),
        (None, lambda _: {"device": "Abacus"}, "device.*Abacus"),
        (None, lambda _: {"torch": "0.4"}, r"device.*PyTorch 0\.4"),
    ],
)
def test_a_table_of_another_network_or_device_is_refused(table, other, change, told):
    net = OTHERS.get(other, network())
    assert (fingerprint(net) == table.network) is (other is None)
    with pytest.raises(InputError, match=f"^latency: .*{told}"):
        AnytimePredictor(net, changed(table, **change(table)))


@pytest.mark.skipif(DEVICE.type != "cpu", reason="threads count on a CPU only")
def test_another_number_of_threads_is_refused(table):
    predictor = AnytimePredictor(network(), changed(table, threads=table.threads + 1))
    with pytest.raises(InputError, match=f"^latency: .*{table.threads + 1} CPU threads, found {table.threads}"):
        predictor.predict(IMAGE, deadline=1.0)
    assert predictor.predict(IMAGE, exit=3).exit == 3  # which needs no table


@pytest.mark.parametrize("shape", [(2, *SHAPE), (1, 1, 8, 8)])
def test_another_shape_of_batch_is_refused(table, shape):
    with pytest.raises(InputError, match=r"^latency: .*float32 \[1, 1, 12, 12\], found float32"):
        AnytimePredictor(network(), table).predict(randn(*shape), deadline=1.0)


def test_the_table_for_this_use_is_found(table):
    others = [
        changed(table, device="Abacus"),
        changed(table, threads=table.threads + 1),
        changed(table, network="0"),
        changed(table, inputs=("float32 [2, 1, 12, 12]",)),
        changed(table, torch="0.4"),
    ]
    assert find_table([*others, table], network(), IMAGE) == table
    assert find_table(others, network(), IMAGE) is None
    assert find_table([table], network(), randn(2, *SHAPE)) is None

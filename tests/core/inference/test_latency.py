import pytest
import torch

from anytime_core import AnytimePredictor, ResANN, measure_latency
from anytime_core.errors import InputError
from anytime_core.inference.device import device_name
from anytime_core.inference.latency import LatencyTable, find_table, fingerprint
from anytime_core.networks.ensemble import eann
from anytime_study.training.deadlines import deadline_trial, random_deadlines

SHAPE = (1, 8, 8)


def network(**options):
    return ResANN(n=1, c=4, in_channels=1, **options)


@pytest.fixture(scope="module")
def table():
    return measure_latency(AnytimePredictor(network(), SHAPE), SHAPE, rounds=100)


def changed(table, **fields):
    return table.model_copy(update=fields)


# --- measuring -----------------------------------------------------------------------------------------------------


def test_a_table_says_what_was_measured(table):
    assert table.device == device_name(torch.device("cpu"))
    assert (table.threads, table.batch_size, table.image_shape) == (torch.get_num_threads(), 1, SHAPE)
    assert (table.rounds, table.torch) == (100, torch.__version__)
    assert [row.exit for row in table.exits] == [1, 2, 3]
    assert table.needed() == [row.step.p99 for row in table.exits]


def test_times_are_ordered(table):
    for row in table.exits:
        for times in (row.step, row.fixed, row.streamed):
            assert 0 < times.p50 <= times.p90 <= times.p99 < 10
        assert row.step.p50 <= row.streamed.p50
    medians = [row.streamed.p50 for row in table.exits]
    assert medians == sorted(medians)
    assert table.exits[0].step == table.exits[0].streamed  # the first step is all there is until then


def test_a_table_survives_json(table):
    assert LatencyTable.model_validate_json(table.model_dump_json()) == table


def test_the_adopted_exits_of_an_eann_are_measured():
    net = eann(n=(1, 2), c=4, in_channels=1)
    net.adopt([0.5, 0.6, 0.4, 0.7, 0.3, 0.9, 0.9, 0.9, 0.9])
    table = measure_latency(AnytimePredictor(net, SHAPE), SHAPE, rounds=100)
    assert [row.exit for row in table.exits] == [1, 3, 5]
    net.adopt([0.5, 0.4, 0.3, 0.2, 0.1, 0.9, 0.9, 0.9, 0.9])
    with pytest.raises(InputError, match="expected a table of this network"):
        AnytimePredictor(net, SHAPE, table)


def test_too_few_rounds_are_refused():
    with pytest.raises(InputError, match="rounds: expected at least 100, found 99"):
        measure_latency(AnytimePredictor(network(), SHAPE), SHAPE, rounds=99)


# --- a table is for one use ----------------------------------------------------------------------------------------


def test_new_weights_keep_the_table(table):
    assert AnytimePredictor(network(), SHAPE, table).latency is table


@pytest.mark.parametrize("other", [network(head="bn"), network(s=3), ResANN(n=2, c=4, in_channels=1)])
def test_a_table_of_another_network_is_refused(table, other):
    assert fingerprint(other) != table.network
    with pytest.raises(InputError, match="latency: expected a table of this network, found that of another one"):
        AnytimePredictor(other, SHAPE, table)


def test_a_table_of_other_numbers_is_refused(table):
    with pytest.raises(InputError, match="latency: expected a table of this network, found that of another one"):
        AnytimePredictor(network().to(torch.bfloat16), SHAPE, table)


def test_a_table_with_another_number_of_rows_is_refused(table):
    with pytest.raises(InputError, match="latency: expected a table of this network"):
        AnytimePredictor(network(), SHAPE, changed(table, exits=table.exits[:2]))


def test_a_table_of_another_device_is_refused(table):
    with pytest.raises(InputError, match=r"latency: expected a table of this device, .*, found one of Abacus;"):
        AnytimePredictor(network(), SHAPE, changed(table, device="Abacus"))


def test_another_number_of_threads_is_refused(table):
    predictor = AnytimePredictor(network(), SHAPE, changed(table, threads=table.threads + 1))
    with pytest.raises(InputError, match=f"for {table.threads + 1} CPU threads, found {table.threads};"):
        predictor.predict(torch.zeros(1, *SHAPE), deadline=1.0)
    assert predictor.predict(torch.zeros(1, *SHAPE), exit=3).exit == 3  # which needs no table


@pytest.mark.parametrize("shape", [(2, *SHAPE), (1, 1, 12, 12)])
def test_another_shape_of_batch_is_refused(table, shape):
    predictor = AnytimePredictor(network(), latency=table)
    with pytest.raises(InputError, match=r"latency: the table is for images \[1, 1, 8, 8\], found"):
        predictor.predict(torch.zeros(shape), deadline=1.0)


def test_the_table_for_this_use_is_found(table):
    net = network()
    others = [
        changed(table, device="Abacus"),
        changed(table, threads=table.threads + 1),
        changed(table, network="0"),
        changed(table, batch_size=2),
        changed(table, torch="0.4"),
    ]
    use = net, torch.device("cpu"), (1, *SHAPE)
    assert find_table([*others, table], *use) == table
    assert find_table(others, *use) is None
    assert find_table([table], net, torch.device("cpu"), (2, *SHAPE)) is None


# --- many deadlines ------------------------------------------------------------------------------------------------


def test_a_trial_has_a_row_per_deadline(table):
    images = torch.randn(3, *SHAPE)
    trial = deadline_trial(AnytimePredictor(network(), SHAPE, table), images, [60.0, 1e-9, 60.0, 60.0])
    assert trial["image"].tolist() == [0, 1, 2, 0]
    assert trial["deadline_s"].tolist() == [60.0, 1e-9, 60.0, 60.0]
    assert trial["exit"].tolist() == [3, 1, 3, 3]
    assert trial["late"].tolist() == [False, True, False, False]
    assert (trial["late_s"] == (trial["elapsed_s"] - trial["deadline_s"]).clip(lower=0)).all()
    assert trial["macs"].nunique() == 2


def test_answers_of_a_trial_are_those_of_the_network():
    net, images = network(), torch.randn(4, *SHAPE)
    trial = deadline_trial(AnytimePredictor(net, SHAPE), images, [60.0] * 4)
    with torch.inference_mode():
        assert trial["answer"].tolist() == net(images)[-1].argmax(1).tolist()


def test_a_trial_without_deadlines_is_refused():
    with pytest.raises(InputError, match="deadlines: expected at least one, found none"):
        deadline_trial(AnytimePredictor(network(), SHAPE), torch.zeros(1, *SHAPE), [])


def test_random_deadlines_lie_between_their_ends(table):
    drawn = random_deadlines(table, 500, shortest=0.001, longest=0.003)
    assert drawn.min() >= 0.001
    assert drawn.max() <= 0.003
    assert drawn.std() > 0.0005
    assert (drawn == random_deadlines(table, 500, shortest=0.001, longest=0.003)).all()
    with pytest.raises(InputError, match=r"expected ends above 0 in growing order, found 0\.003 s and 0\.001 s"):
        random_deadlines(table, 5, shortest=0.003, longest=0.001)


def test_the_ends_are_the_first_exits_99th_percentile_and_twice_the_full_latency(table):
    fast = table.exits[0].model_copy(update={"fixed": table.exits[0].fixed.model_copy(update={"p99": 0.001})})
    slow = table.exits[2].model_copy(update={"streamed": table.exits[2].streamed.model_copy(update={"p50": 0.01})})
    drawn = random_deadlines(changed(table, exits=(fast, table.exits[1], slow)), 2000)
    assert drawn.min() == pytest.approx(0.001, abs=2e-4)
    assert drawn.max() == pytest.approx(0.02, abs=2e-4)

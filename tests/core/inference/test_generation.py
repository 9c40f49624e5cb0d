import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from anytime_core import AnytimePredictor, Decoding, exit_costs, generate, measure_latency
from anytime_core.errors import InputError
from anytime_core.networks.decoder import decoder_with_exits
from tests.core.decoders import WITH_MEMORY, of_torch, small_decoder, tokens, truncated


def text(net, ids, count, **limit):
    """The tokens [N, count], and at which exits."""
    found = list(generate(net, ids, count, **limit))
    return torch.stack([token for token, _ in found], 1), [prediction.exit for _, prediction in found]


@torch.no_grad()
def read_again(net, ids, exits):
    """The same without a memory: the whole text is read for each token, at the exit that is given."""
    for exit_number in exits:
        token = net(ids)[exit_number - 1][:, -1].argmax(-1)
        ids = torch.cat([ids, token[:, None]], 1)
    return ids[:, -len(exits) :]


@pytest.mark.parametrize("kind", WITH_MEMORY)
def test_greedy_text_of_each_exit_is_that_of_the_truncated_model(kind):
    model, ids = WITH_MEMORY[kind](), tokens(2, 5)
    net = decoder_with_exits(model)
    for number in range(1, net.num_exits + 1):
        found, exits = text(net, ids, 20, exit=number)
        alone = truncated(model, number)
        if kind == "small":
            expected = read_again(decoder_with_exits(alone, at=[]), ids, [1] * 20)
        else:
            mask = torch.ones_like(ids)
            expected = alone.generate(ids, attention_mask=mask, max_new_tokens=20, do_sample=False, pad_token_id=0)
            expected = expected[:, 5:]
        assert torch.equal(found, expected), f"exit {number}"
        assert exits == [number] * 20
    assert torch.equal(text(net, ids, 20)[0], found)  # the last exit by default


@pytest.mark.parametrize("kind", WITH_MEMORY)
def test_tokens_that_leave_at_different_exits_are_those_of_the_whole_text_read_again(kind):
    net, ids = decoder_with_exits(WITH_MEMORY[kind]()), tokens(2, 4)
    predictor, exits = AnytimePredictor(Decoding(net)), [1, 1, 3, 1, 2, 2, 1, 4, 1, 1, 1, 4, 4, 3, 2, 1, 4]
    found, new = [], ids
    for exit_number in exits:
        new = predictor.predict(new, exit=exit_number).logits.argmax(-1)[:, None]
        found.append(new)
    assert torch.equal(torch.cat(found, 1), read_again(net, ids, exits))


def test_confident_tokens_leave_early_and_the_text_is_right():
    net, ids = decoder_with_exits(small_decoder()), tokens(1, 4)
    found, exits = text(net, ids, 40, confidence=0.1)
    assert len(set(exits)) > 2
    assert torch.equal(found, read_again(net, ids, exits))
    assert text(net, ids, 3, confidence=1.0)[1] == [4, 4, 4]
    assert text(net, ids, 3, confidence=0.0)[1] == [1, 1, 1]


def test_each_token_passes_each_block_once():
    model, seen = small_decoder(), [[], [], [], []]
    for block, lengths in zip(model.blocks, seen, strict=True):
        block.register_forward_hook(lambda _, given, __, lengths=lengths: lengths.append(given[0].shape[1]))
    decoding = Decoding(decoder_with_exits(model, at=[1, 3]))
    for lengths in seen:
        lengths.clear()
    predictor, new = AnytimePredictor(decoding), tokens(1, 5)
    for exit_number in (1, 1, 2, 1, 3, 3):
        new = predictor.predict(new, exit=exit_number).logits.argmax(-1)[:, None]
    assert seen == [[5, 1, 1, 1, 1, 1], [7, 2, 1], [7, 2, 1], [9, 1]]


def test_multiply_adds_are_those_that_run():
    net, new = decoder_with_exits(small_decoder(), at=[1, 3]), tokens(1, 5)
    predictor = AnytimePredictor(Decoding(net))
    for number, limit in enumerate([{"exit": 1}, {"exit": 2}, {"exit": 1}, {"confidence": 1.0}, {"exit": 3}] * 2):
        with FlopCounterMode(display=False) as counter:
            prediction = predictor.predict(new, **limit)
        assert prediction.macs == counter.get_total_flops() // 2, f"call {number}"
        new = prediction.logits.argmax(-1)[:, None]
    alone = AnytimePredictor(Decoding(net)).predict(tokens(1, 1), exit=3)
    assert alone.macs == exit_costs(net, tokens(1, 1)).macs_fixed[-1]


def test_a_budget_pays_for_what_was_left_too():
    net, new = decoder_with_exits(small_decoder()), tokens(1, 1)
    predictor = AnytimePredictor(Decoding(net))
    first = predictor.predict(new, exit=1)
    allowed = predictor.net.macs_now(new)
    fixed = [sum(segment for segment, _ in allowed[: k + 1]) + allowed[k][1] for k in range(4)]
    assert fixed[1] > 2 * first.macs - allowed[0][1]  # two tokens in the second block
    prediction = predictor.predict(new, macs=fixed[2])
    assert (prediction.exit, prediction.macs) == (3, fixed[2])
    with pytest.raises(InputError, match="macs: expected at least"):
        predictor.predict(new, macs=1)
    assert predictor.predict(new, macs=10**9).exit == 4  # the call that was refused left nothing behind


def test_a_deadline_ends_a_token_and_an_interruption_too():
    times = iter(range(1000))
    net, ids = decoder_with_exits(small_decoder()), tokens(1, 4)
    predictor = AnytimePredictor(Decoding(net), clock=lambda: float(next(times)))  # a second between two looks
    exits = [predictor.predict(ids, deadline=2.5).exit]
    new = net(ids)[exits[0] - 1][:, -1].argmax(-1)[:, None]
    hook = net.segments[0].register_forward_hook(lambda *_: predictor.interrupt())
    exits.append(predictor.predict(new, exit=4).exit)
    hook.remove()
    assert exits == [3, 1]
    last = net(torch.cat([ids, new], 1))[0][:, -1].argmax(-1)[:, None]
    prediction = predictor.predict(last, exit=4)
    torch.testing.assert_close(prediction.logits, net(torch.cat([ids, new, last], 1))[-1][:, -1])


def test_a_latency_table_of_single_tokens_plans_the_next_one():
    net, ids = decoder_with_exits(small_decoder(), at=[2]), tokens(1, 4)
    table = measure_latency(AnytimePredictor(net), ids[:, :1], rounds=100)
    predictor = AnytimePredictor(Decoding(net), table)
    predictor.predict(ids, exit=2)
    assert predictor.predict(ids[:, :1], deadline=60.0).exit == 2
    assert predictor.predict(ids[:, :1], deadline=1e-9).exit == 1


def test_a_call_that_fails_within_a_segment_leaves_the_text_as_it_was():
    model, ids = small_decoder(), tokens(1, 4)
    net = decoder_with_exits(model, at=[2])
    predictor = AnytimePredictor(Decoding(net))
    predictor.predict(ids, exit=1)
    hook = model.blocks[1].register_forward_hook(lambda *_: 1 / 0)  # the block before it has seen the token
    with pytest.raises(ZeroDivisionError):
        predictor.predict(ids[:, :1], exit=2)
    hook.remove()
    prediction = predictor.predict(ids[:, :2], exit=2)
    torch.testing.assert_close(prediction.logits, net(torch.cat([ids, ids[:, :2]], 1))[-1][:, -1])


def test_what_remembers_nothing_and_what_is_no_text_is_refused():
    for net in (decoder_with_exits(of_torch()), torch.nn.Linear(2, 2)):
        with pytest.raises(InputError, match=r"net: expected a decoder whose model takes cache"):
            Decoding(net)
    predictor = AnytimePredictor(Decoding(decoder_with_exits(small_decoder())))
    for inputs in (torch.zeros(1, 3), tokens(1, 3)[0], {"ids": tokens(1, 3)}, tokens(1, 0)):
        with pytest.raises(InputError, match="inputs: expected"):
            predictor.predict(inputs, exit=1)


def test_warming_up_is_refused_as_it_would_lengthen_the_text():
    net, ids = decoder_with_exits(small_decoder()), tokens(1, 4)
    predictor = AnytimePredictor(Decoding(net))
    for call in (predictor.warm_up, lambda ids: measure_latency(predictor, ids)):
        with pytest.raises(InputError, match=r"^net: expected one that keeps no text"):
            call(ids)
    torch.testing.assert_close(predictor.predict(ids, exit=4).logits, net(ids)[-1][:, -1])


def test_a_token_that_is_not_in_the_vocabulary_is_refused():
    with pytest.raises(InputError, match=r"^inputs: .*out of range"):
        AnytimePredictor(decoder_with_exits(small_decoder())).predict(tokens(1, 3) + 99, exit=1)


def test_tokens_can_be_drawn():
    net, ids = decoder_with_exits(small_decoder()), tokens(3, 4)
    torch.manual_seed(0)
    found = [token for token, _ in generate(net, ids, 5, choose=lambda x: x.softmax(-1).multinomial(1)[:, 0])]
    assert torch.stack(found).shape == (5, 3)

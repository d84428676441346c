"""Training continues bit for bit: random states, and optimizer tensors with their dtypes."""

import json
import random

import numpy
import pytest
import torch
from torch import nn
from torch.optim import SGD, Adagrad, Adam, AdamW, Optimizer, RMSprop, lr_scheduler, swa_utils

import forked
from helpers.checkpoint import MismatchError, load, restore, save
from parts import bits, net, train, training


@pytest.fixture
def path(tmp_path):
    return tmp_path / "checkpoint.pt"


# ---- random numbers -----------------------------------------------------------------------------


def test_every_generator_continues_where_it_was(path):
    numpys = (numpy.random.PCG64, numpy.random.MT19937, numpy.random.Philox, numpy.random.SFC64)
    generators = {
        "shuffle": torch.Generator().manual_seed(1),
        "own": random.Random(1),
        "old": numpy.random.RandomState(1),
        **{kind.__name__: numpy.random.Generator(kind(1)) for kind in numpys},
    }

    def draw():
        numbers = [torch.rand(1).item(), random.gauss(0, 1), numpy.random.randn()]
        for one in generators.values():
            own = isinstance(one, torch.Generator)
            numbers.append(torch.rand(1, generator=one).item() if own else one.random())
        return numbers

    draw()  # now Python and NumPy have a normal number in store
    save(path, **generators)
    first, second = draw(), draw()
    restore(path, **generators)
    assert draw() == first
    restore(path, random_state=False, **generators)
    mixed = draw()
    assert mixed[:3] == second[:3]  # the global generators have drawn more numbers
    assert mixed[3:] == first[3:]


ANOTHER_PROCESS = """
import json, random, sys, numpy, torch
from helpers.checkpoint import save
save("c.pt", v=1)
json.dump([random.random(), torch.rand(1).item(), numpy.random.rand()], sys.stdout)
"""


def test_another_process_draws_the_same_numbers(tmp_path):
    there = forked.run("-c", ANOTHER_PROCESS, cwd=tmp_path)
    restore(tmp_path / "c.pt")
    here = [random.random(), torch.rand(1).item(), numpy.random.rand()]
    assert json.loads(there.stdout) == here


def test_a_generator_that_is_not_in_use_here_is_named_and_left_out(path):
    save(path, epoch=1)
    state = torch.load(path)
    state["random_state"]["cuda:3"] = torch.get_rng_state()
    torch.save(state, path)
    with pytest.warns(UserWarning, match=r"not restored: \['cuda:3'\]"):
        assert restore(path) == {"epoch": 1}


# ---- training -----------------------------------------------------------------------------------


def step(o):
    return lr_scheduler.StepLR(o, 2)


def exponential(o):
    return lr_scheduler.ExponentialLR(o, 0.9)


SCHEDULERS = {
    "StepLR": step,
    "MultiStepLR": lambda o: lr_scheduler.MultiStepLR(o, [1, 4]),
    "ConstantLR": lr_scheduler.ConstantLR,
    "LinearLR": lr_scheduler.LinearLR,
    "ExponentialLR": exponential,
    "PolynomialLR": lr_scheduler.PolynomialLR,
    "CosineAnnealingLR": lambda o: lr_scheduler.CosineAnnealingLR(o, 5),
    "CosineAnnealingWarmRestarts": lambda o: lr_scheduler.CosineAnnealingWarmRestarts(o, 4),
    "CyclicLR": lambda o: lr_scheduler.CyclicLR(o, 0.1, 0.5),
    "OneCycleLR": lambda o: lr_scheduler.OneCycleLR(o, 0.5, total_steps=20),
    "ReduceLROnPlateau": lambda o: lr_scheduler.ReduceLROnPlateau(o, patience=1),
    "LambdaLR": lambda o: lr_scheduler.LambdaLR(o, lambda epoch: 0.9**epoch),
    "MultiplicativeLR": lambda o: lr_scheduler.MultiplicativeLR(o, lambda epoch: 0.9),
    "SequentialLR": lambda o: lr_scheduler.SequentialLR(o, [step(o), exponential(o)], [2]),
    "ChainedScheduler": lambda o: lr_scheduler.ChainedScheduler([step(o), exponential(o)]),
    "SWALR": lambda o: swa_utils.SWALR(o, 0.05),
}


@pytest.mark.parametrize("make", SCHEDULERS.values(), ids=SCHEDULERS)
@pytest.mark.parametrize("optimizer", [Adam, lambda p, lr: SGD(p, lr, momentum=0.9)])
def test_training_continues_as_if_it_had_not_been_stopped(make, optimizer, path):
    saved, now = training(optimizer, make), training(optimizer, make, steps=0)
    save(path, **saved)
    train(**saved, steps=4)
    restore(path, **now)
    train(**now, steps=4)
    assert bits(now) == bits(saved)


OPTIMIZERS = [kind for kind in vars(torch.optim).values() if isinstance(kind, type)]
OPTIMIZERS.remove(Optimizer)


@pytest.mark.parametrize("kind", OPTIMIZERS, ids=lambda kind: kind.__name__)
def test_an_optimizer_of_any_class_is_restored(kind, path):
    def make():
        weight = torch.ones(3, 4, requires_grad=True)
        return weight, kind([weight], lr=0.1)

    def loss():
        optimizer.zero_grad()
        loss = (weight - 2).pow(2).sum()
        loss.backward()
        if kind is torch.optim.SparseAdam:
            weight.grad = weight.grad.to_sparse()
        return loss

    weight, optimizer = make()
    optimizer.step(loss)
    optimizer.step(loss)
    save(path, optimizer=optimizer)
    again = make()[1]
    restore(path, optimizer=again)
    assert bits({"": again}) == bits({"": optimizer})


# ---- dtypes of the optimizer's state ------------------------------------------------------------


def with_moments(dtype, moments, kind=AdamW, **options):
    """A model of one dtype, and its optimizer with moments of another."""
    torch.manual_seed(0)
    model = nn.Linear(3, 4).to(dtype)
    optimizer = kind(model.parameters(), lr=0.1, **options)
    model(torch.ones(2, 3, dtype=dtype)).sum().backward()
    optimizer.step()
    for state in optimizer.state.values():
        for key, value in state.items():
            if value.numel() > 1:
                state[key] = (value.double() + 1e-9 * torch.rand(value.shape).double()).to(moments)
    return model, optimizer


BF16, HALF, FLOAT, DOUBLE = torch.bfloat16, torch.float16, torch.float32, torch.float64


@pytest.mark.parametrize(
    "dtype, moments",
    [(BF16, FLOAT), (FLOAT, BF16), (HALF, FLOAT), (FLOAT, HALF), (FLOAT, DOUBLE), (BF16, BF16)],
    ids=str,
)
@pytest.mark.parametrize("kind", [AdamW, RMSprop, Adagrad])
def test_moments_keep_their_dtype_and_every_bit(dtype, moments, kind, path):
    model, optimizer = with_moments(dtype, moments, kind)
    again, other = with_moments(dtype, dtype, kind)
    for parts in ({"model": again, "optimizer": other}, {"optimizer": other, "model": again}):
        save(path, model=model, optimizer=optimizer)
        restore(path, **parts)
        assert bits({"": other}) == bits({"": optimizer})
        states = {"model_state_dict": model.state_dict()}
        torch.save({**states, "optimizer_state_dict": optimizer.state_dict()}, path)
        restore(path, **parts)
        assert bits({"": other}) == bits({"": optimizer})


def test_an_optimizer_alone_keeps_the_dtypes_as_well(path):
    _, optimizer = with_moments(BF16, FLOAT)
    _, other = with_moments(BF16, BF16)
    save(path, optimizer=optimizer)
    restore(path, optimizer=other)
    assert bits({"": other}) == bits({"": optimizer})


class Master(Optimizer):
    """Keeps a float32 copy of bfloat16 parameters in its state, as fairseq does."""

    def step(self, closure=None):
        for parameter in self.param_groups[0]["params"]:
            state = self.state[parameter]
            state.setdefault("master", parameter.detach().float()).sub_(1e-4)
            state.setdefault("count", torch.tensor(0)).add_(1)
            state.setdefault("seen", torch.zeros(3, dtype=torch.bool)).logical_not_()


def test_master_weights_counters_and_masks_keep_their_dtypes(path):
    def make():
        weight = nn.Parameter(torch.ones(3, dtype=BF16))
        return weight, Master([weight], {})

    weight, optimizer = make()
    for _ in range(3):
        optimizer.step()
    again, other = make()
    save(path, optimizer=optimizer)
    restore(path, optimizer=other)
    state = other.state[again]
    assert (state["master"].dtype, state["count"].dtype, state["seen"].dtype) == (
        FLOAT,
        torch.int64,
        torch.bool,
    )
    assert torch.equal(state["master"], optimizer.state[weight]["master"])
    assert state["master"][0] != 1  # which bfloat16 would have made of it


@pytest.mark.parametrize("options", [{"fused": True}, {"foreach": False}, {}], ids=str)
def test_the_step_of_every_implementation_is_restored(options, path):
    model, optimizer = with_moments(FLOAT, FLOAT, **options)
    again, other = with_moments(FLOAT, FLOAT, **options)
    save(path, model=model, optimizer=optimizer)
    for parts in ((model, optimizer), (again, other)):
        restore(path, model=parts[0], optimizer=parts[1])
        parts[0](torch.ones(2, 3)).sum().backward()
        parts[1].step()
    steps = [state["step"] for state in other.state.values()]
    assert [(step.dtype, step.item()) for step in steps] == [(FLOAT, 2), (FLOAT, 2)]
    assert bits({"": again}) == bits({"": model})


def test_a_step_under_a_default_dtype_of_float64_is_restored(path):
    torch.set_default_dtype(DOUBLE)
    try:
        model, optimizer = with_moments(FLOAT, FLOAT)
        again, other = with_moments(FLOAT, FLOAT)
    finally:
        torch.set_default_dtype(FLOAT)
    save(path, model=model, optimizer=optimizer)
    restore(path, model=again, optimizer=other)
    assert bits({"": other}) == bits({"": optimizer})
    assert {state["step"].dtype for state in other.state.values()} == {DOUBLE}


def test_a_model_that_was_converted_on_purpose_can_train_on(path):
    # Then the moments follow, as with plain torch: AdamW refuses to mix dtypes.
    model, optimizer = with_moments(FLOAT, FLOAT)
    save(path, model=model, optimizer=optimizer)
    again, other = with_moments(BF16, BF16)
    restore(path, model=again, optimizer=other)
    assert {v.dtype for s in other.state.values() for v in s.values() if v.numel() > 1} == {BF16}
    again(torch.ones(2, 3, dtype=BF16)).sum().backward()
    other.step()


def test_a_converted_model_with_other_names_in_its_state_dict_can_train_on(path):
    """Such as old weight_norm's, which a parametrized layer also reads, and those of hooks."""

    def renamed(module, state, prefix, metadata):
        for key in [*state]:
            state["was." + key] = state.pop(key)

    def back(module, state, prefix, metadata, *_):
        for key in [*state]:
            state[key.removeprefix("was.")] = state.pop(key)

    model, optimizer = with_moments(FLOAT, FLOAT)
    model.register_state_dict_post_hook(renamed)
    save(path, model=model, optimizer=optimizer)
    again, other = with_moments(BF16, BF16)
    again.register_load_state_dict_pre_hook(back)
    restore(path, model=again, optimizer=other)
    assert {v.dtype for s in other.state.values() for v in s.values() if v.numel() > 1} == {BF16}
    again(torch.ones(2, 3, dtype=BF16)).sum().backward()
    other.step()


def test_a_hook_that_reorders_the_moments_keeps_its_order(path):
    """Then the values at the file's places belong to other parameters, whatever their dtype."""
    first, second = (nn.Parameter(torch.ones(3, dtype=BF16)) for _ in range(2))
    optimizer = AdamW([first, second])
    for number, parameter in enumerate((first, second)):
        optimizer.state[parameter] = {"step": torch.ones(()), "exp_avg": torch.full((3,), number)}

    def swapped(optimizer, state):
        state["param_groups"][0]["params"].reverse()

    save(path, optimizer=optimizer)
    other = AdamW([second, first])
    other.register_load_state_dict_pre_hook(swapped)
    restore(path, optimizer=other)
    assert [other.state[p]["exp_avg"].tolist() for p in (first, second)] == [[0] * 3, [1] * 3]


def test_a_restore_that_fails_keeps_the_dtypes_too(path):
    model, optimizer = with_moments(BF16, FLOAT)
    save(path, optimizer=optimizer, model=nn.Linear(3, 5))
    before = bits({"": optimizer})
    with pytest.raises(MismatchError):
        restore(path, optimizer=optimizer, model=model)
    assert bits({"": optimizer}) == before


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("options", [{}, {"fused": True}, {"capturable": True}, {"foreach": False}])
def test_training_continues_exactly_on_a_gpu(options, path):
    def make():
        model = nn.Sequential(nn.Linear(8, 8), nn.Dropout(), nn.BatchNorm1d(8)).cuda()
        return {"model": model, "optimizer": AdamW(model.parameters(), **options)}

    def run(model, optimizer):
        for _ in range(3):
            optimizer.zero_grad()
            model(torch.rand(4, 8, device="cuda")).pow(2).sum().backward()
            optimizer.step()

    def state(model, optimizer):
        tensors = [*model.state_dict().values()]
        tensors += [value for kept in optimizer.state.values() for value in kept.values()]
        return [(t.device, t.dtype, t.tolist()) for t in tensors]

    saved, now = make(), make()
    run(**saved)
    save(path, **saved)
    run(**saved)
    restore(path, **now)
    run(**now)
    assert state(**now) == state(**saved)
    assert "cuda:0" in load(path, map_location="cpu")["random_state"]


def own(self, state_dict):
    super(type(self), self).load_state_dict(state_dict)


@pytest.mark.parametrize("kind", [Adam, type("Own", (Adam,), {"load_state_dict": own})])
@pytest.mark.parametrize("other", [{}, {"teacher": lambda: net().half()}], ids=["", "a teacher"])
def test_moments_keep_their_dtype_whatever_else_is_restored(kind, other, path):
    """A subclass that calls super(), or a second model that changes its own dtype."""

    def parts():
        model = net().bfloat16()
        return {"model": model, "optimizer": kind(model.parameters())}

    saved = parts()
    for parameter in saved["model"].parameters():
        average = torch.full(parameter.shape, 1 / 3)
        state = {"step": torch.tensor(1.0), "exp_avg": average, "exp_avg_sq": average}
        saved["optimizer"].state[parameter] = state
    save(path, **saved, **{name: net() for name in other})
    now = parts()
    restore(path, **now, **{name: make() for name, make in other.items()})
    assert {state["exp_avg"].dtype for state in now["optimizer"].state.values()} == {torch.float32}

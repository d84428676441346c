"""Restore takes what save took, and what plain torch loads, unless it is certainly another kind."""

import copy
import sys
import threading

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations
from torch.optim import SGD, Adam, AdamW, Optimizer, lr_scheduler, swa_utils

from helpers.checkpoint import MismatchError, load, restore, save
from parts import INPUT, Tied, bits, net, training


@pytest.fixture
def path(tmp_path):
    return tmp_path / "checkpoint.pt"


# ---- models -------------------------------------------------------------------------------------


class WithExtraState(nn.Linear):
    seen = 0

    def forward(self, x):
        self.seen += 1
        return super().forward(x)

    def get_extra_state(self):
        return {"seen": self.seen}

    def set_extra_state(self, state):
        self.seen = state.pop("seen")  # as some do


class OldSignature(nn.Linear):
    def load_state_dict(self, state_dict, strict=True):
        return super().load_state_dict(state_dict, strict)


class WithBaggage(nn.Linear):
    """What a module has beside its state need not be anything that can be copied."""

    def forward(self, x):
        self.lock, self.file = threading.Lock(), sys.stderr
        self.seen = [super().forward(x)]  # it has a graph behind it
        return self.seen[0]


class Frozen(dict):
    """A dict that refuses to be changed, as diffusers' configurations do."""

    def __setitem__(self, key, value):
        raise TypeError("frozen")

    update = __setitem__


class WithFrozenConfig(nn.Linear):
    def __init__(self, *sizes):
        super().__init__(*sizes)
        self.config = Frozen({"sizes": sizes})


class LooksAtValues(nn.Linear):
    """Its hook needs values: it could not run on the meta device."""

    def __init__(self, *sizes):
        super().__init__(*sizes)
        self.total = torch.zeros(())
        self.register_load_state_dict_post_hook(LooksAtValues.look)

    def look(self, _):
        self.total += self.weight.sum().item()
        assert self.weight.detach().numpy().size


class Graph(nn.Module):
    def __init__(self, layout):
        super().__init__()
        self.register_buffer("adjacency", torch.eye(4).to_sparse(layout=layout))

    def forward(self, x):
        return x


def blocks():
    model = Graph(torch.sparse_csr)
    model.register_buffer("adjacency", torch.eye(4).to_sparse_bsr((2, 2)))
    return model


def nested(depth):
    model = nn.Linear(3, 3)
    for _ in range(depth):
        model = nn.Sequential(model)
    return model


MODELS = {
    "BatchNorm": lambda: nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4)),
    "tied weights": Tied,
    "weight_norm": lambda: parametrizations.weight_norm(nn.Linear(3, 4)),
    "spectral_norm": lambda: parametrizations.spectral_norm(nn.Linear(3, 4)),
    "old weight_norm": lambda: nn.utils.weight_norm(nn.Linear(3, 4)),
    "old spectral_norm": lambda: nn.utils.spectral_norm(nn.Linear(3, 4)),
    "extra state": lambda: WithExtraState(3, 4),
    "lazy": lambda: nn.Sequential(nn.LazyLinear(4), nn.LazyBatchNorm1d()),
    "an average": lambda: swa_utils.AveragedModel(net(), use_buffers=True),
    "its own load_state_dict": lambda: OldSignature(3, 4),
    "things that nobody can copy": lambda: WithBaggage(3, 4),
    "a frozen dict": lambda: WithFrozenConfig(3, 4),
    "a hook that looks at values": lambda: LooksAtValues(3, 4),
    "compiled": lambda: torch.compile(net(), backend="eager"),
    "TorchScript": lambda: torch.jit.script(nn.Linear(3, 4)),
    "CSR buffer": lambda: Graph(torch.sparse_csr),
    "CSC buffer": lambda: Graph(torch.sparse_csc),
    "BSR buffer": blocks,
    "200 levels deep": lambda: nested(200),
}


@pytest.mark.filterwarnings("ignore:.*(Lazy|weight_norm|Sparse)", "ignore::DeprecationWarning")
@pytest.mark.parametrize("make", MODELS.values(), ids=MODELS)
def test_a_model_of_any_kind_is_restored(make, path):
    saved, now = make(), make()
    for _ in range(3):
        saved(INPUT)
    save(path, model=saved)
    if "lazy" not in str(now).lower():
        now(INPUT)
    held = [(p, p.data_ptr()) for p in now.parameters() if not nn.parameter.is_lazy(p)]
    restore(path, model=now)
    assert bits({"model": now}) == bits({"model": saved})
    assert torch.equal(now.eval()(INPUT), saved.eval()(INPUT))
    # The same parameters hold the new values, in the same place: an optimizer steps these.
    for (before, place), after in zip(held, now.parameters(), strict=False):
        assert before is after
        assert after.data_ptr() == place


@pytest.mark.filterwarnings("ignore:.*weight_norm")
def test_an_lstm_with_weight_norm_is_restored(path):
    def make():
        return nn.utils.weight_norm(nn.LSTM(3, 4), "weight_hh_l0")

    saved, now = make(), make()
    save(path, model=saved)
    restore(path, model=now)
    assert bits({"": now}) == bits({"": saved})


class Renamed(nn.Module):
    def __init__(self):
        super().__init__()
        self.new = nn.Linear(3, 4)
        self.register_load_state_dict_pre_hook(Renamed.rename)

    def rename(self, state, prefix, *_):
        for name in [name for name in state if name.startswith(f"{prefix}old.")]:
            state[name.replace("old.", "new.")] = state.pop(name)


def first_batch_norm():
    state = nn.BatchNorm1d(3).state_dict()
    del state["num_batches_tracked"]  # as before torch 0.4
    state._metadata[""]["version"] = 1
    return state


def older_names():
    return {f"old.{name}": value for name, value in nn.Linear(3, 4).state_dict().items()}


@pytest.mark.filterwarnings("ignore:.*weight_norm")
@pytest.mark.parametrize(
    "make, state",
    [
        (Renamed, older_names),
        (MODELS["weight_norm"], lambda: MODELS["old weight_norm"]().state_dict()),
        (lambda: nn.BatchNorm1d(3), first_batch_norm),
        (lambda: nn.Linear(3, 4).bfloat16(), lambda: nn.Linear(3, 4).state_dict()),
    ],
    ids=["renamed by a hook", "weight_norm", "BatchNorm", "another dtype"],
)
def test_what_torch_adapts_to_the_model_is_restored(make, state, path):
    model, state = make(), state()
    expected = copy.deepcopy(model)
    torch.save({"model_state_dict": state}, path)
    restore(path, model=model)
    expected.load_state_dict(state)
    assert bits({"model": model}) == bits({"model": expected})


def test_a_layer_may_be_in_two_parts(path):
    encoder = nn.Linear(3, 4)
    model = nn.Sequential(encoder, nn.Linear(4, 2))
    optimizer = Adam(model.parameters())
    save(path, model=model, encoder=encoder, optimizer=optimizer)
    restore(path, encoder=encoder, model=model, optimizer=optimizer)
    restore(path, model=model, optimizer=optimizer)


# ---- optimizers and schedulers ------------------------------------------------------------------


class Nested(Optimizer):
    """Keeps the state of another optimizer in its own, as pytorch_optimizer's Lookahead does."""

    def __init__(self, base):
        self.base, self.param_groups, self.state, self.defaults = base, base.param_groups, {}, {}

    def step(self):
        self.base.step()

    def state_dict(self):
        return {"base": self.base.state_dict()}

    def load_state_dict(self, state):
        self.base.load_state_dict(state["base"])


class Wrapper(Optimizer):
    """Passes everything on to the optimizer that it wraps, as accelerate's does."""

    def __init__(self, optimizer):
        self.optimizer = optimizer

    def step(self):
        self.optimizer.step()

    state_dict = property(lambda self: self.optimizer.state_dict)
    load_state_dict = property(lambda self: self.optimizer.load_state_dict)
    param_groups = property(lambda self: self.optimizer.param_groups)
    state = property(lambda self: self.optimizer.state)


class SchedulerWrapper:
    def __init__(self, scheduler):
        self.scheduler = scheduler

    def state_dict(self):
        return self.scheduler.state_dict()

    def load_state_dict(self, state):
        self.scheduler.load_state_dict(state)


class MyAdamW(AdamW):
    pass


class FactoredAdam(Adam):
    """Its state has other shapes than its parameters."""

    def step(self, closure=None):
        for parameter in self.param_groups[0]["params"]:
            self.state[parameter] = {"step": torch.tensor(1.0), "row": parameter.detach().sum(-1)}


class Odd(Optimizer):
    """Its state is not a dict for each parameter."""

    def step(self, closure=None):
        for parameter in self.param_groups[0]["params"]:
            self.state[parameter] = torch.ones(7)
        self.state["shared"] = {"temperature": torch.ones(2)}


class OwnFormat(AdamW):
    """Its state dict is of another kind than torch's."""

    form = list

    def state_dict(self):
        state = super().state_dict()
        return list(state.items()) if self.form is list else {"inner": state, "state": 3}

    def load_state_dict(self, state_dict):
        super().load_state_dict(dict(state_dict) if self.form is list else state_dict["inner"])


class OwnDict(OwnFormat):
    form = dict


class OwnPairs(AdamW):
    """Its state dict has torch's keys, and other things under them."""

    def state_dict(self):
        state = super().state_dict()
        return {**state, "state": list(state["state"].items())}

    def load_state_dict(self, state_dict):
        super().load_state_dict({**state_dict, "state": dict(state_dict["state"])})


class OwnGroups(AdamW):
    def state_dict(self):
        state = super().state_dict()
        return {**state, "param_groups": dict(enumerate(state["param_groups"]))}

    def load_state_dict(self, state_dict):
        groups = [*state_dict["param_groups"].values()]
        super().load_state_dict({**state_dict, "param_groups": groups})


def stepped(make):
    model = net()
    optimizer = make(model.parameters())
    model(INPUT).pow(2).sum().backward()
    optimizer.step()
    return model, optimizer


@pytest.mark.parametrize(
    "make",
    [
        MyAdamW,
        FactoredAdam,
        lambda p: Odd(p, {}),
        lambda p: torch.optim.LBFGS(p),
        lambda p: torch.optim.Adafactor(p),
        OwnFormat,
        OwnDict,
        OwnPairs,
        OwnGroups,
    ],
    ids=[
        "a subclass",
        "other shapes",
        "no dicts",
        "LBFGS",
        "Adafactor",
        "a list",
        "a dict",
        "pairs",
        "a dict of groups",
    ],
)
def test_an_optimizer_that_save_took_is_restored(make, path):
    model = net()
    optimizer = make(model.parameters())

    def loss():
        optimizer.zero_grad()
        loss = model(INPUT).pow(2).sum()
        loss.backward()
        return loss

    optimizer.step(loss)
    save(path, model=model, optimizer=optimizer)
    again = net()
    other = make(again.parameters())
    restore(path, model=again, optimizer=other)
    assert bits({"": other}) == bits({"": optimizer})


@pytest.mark.parametrize(
    "saved, now",
    [
        (AdamW, MyAdamW),
        (MyAdamW, AdamW),
        (AdamW, lambda p: Wrapper(AdamW(p))),
        (lambda p: Wrapper(AdamW(p)), AdamW),
        (lambda p: Wrapper(Wrapper(AdamW(p))), lambda p: Wrapper(MyAdamW(p))),
        (lambda p: Nested(AdamW(p)), lambda p: Nested(AdamW(p))),
    ],
    ids=["into a subclass", "out of one", "into a wrapper", "out of one", "into two", "nested"],
)
def test_a_wrapper_and_a_subclass_are_not_another_kind(saved, now, path):
    model = net()
    optimizer = saved(model.parameters())
    model(INPUT).pow(2).sum().backward()
    optimizer.step()
    again = net()
    other = now(again.parameters())
    save(path, model=model, optimizer=optimizer)
    restore(path, model=again, optimizer=other)
    assert bits({"": other}) == bits({"": optimizer})


@pytest.mark.parametrize("wrap", [lambda one: one, Wrapper, lambda one: Wrapper(Wrapper(one))])
def test_another_class_of_optimizer_in_a_wrapper_is_refused(wrap, path):
    model, optimizer = stepped(AdamW)
    save(path, model=model, optimizer=wrap(optimizer))
    for other in (wrap(SGD(model.parameters(), lr=0.1)), SGD(model.parameters(), lr=0.1)):
        with pytest.raises(MismatchError, match="It is the state of AdamW, but this is SGD"):
            restore(path, model=model, optimizer=other)


def test_another_class_of_scheduler_in_a_wrapper_is_refused(path):
    parts = training(scheduler=lambda o: SchedulerWrapper(lr_scheduler.StepLR(o, 2)), steps=0)
    save(path, **parts)
    restore(path, **parts)
    other = SchedulerWrapper(lr_scheduler.ExponentialLR(parts["optimizer"], 0.9))
    with pytest.raises(MismatchError, match="It is the state of StepLR, but this is ExponentialLR"):
        restore(path, **{**parts, "scheduler": other})


class TrainerWithAnOptimizer:
    """A part whose state is not that of the optimizer in it."""

    def __init__(self, optimizer):
        self.optimizer, self.epoch = optimizer, 0

    def state_dict(self):
        return {"epoch": self.epoch}

    def load_state_dict(self, state):
        self.epoch = state["epoch"]


def test_an_optimizer_beside_the_state_of_a_part_does_not_matter(path):
    save(path, trainer=TrainerWithAnOptimizer(AdamW(net().parameters())))
    assert "made_for" not in load(path)
    restore(path, trainer=TrainerWithAnOptimizer(SGD(net().parameters(), lr=0.1)))


def test_a_file_of_an_earlier_version_of_the_helper_is_restored(path):
    model, optimizer = stepped(AdamW)
    save(path, model=model, optimizer=optimizer)
    state = torch.load(path)
    state["made_for"] = {"optimizer": ["AdamW", "model.0.weight", "model.0.bias"]}
    torch.save(state, path)
    restore(path, model=model, optimizer=optimizer)
    with pytest.raises(MismatchError, match="It is the state of AdamW"):
        restore(path, model=model, optimizer=Adam(model.parameters()))


@pytest.mark.parametrize("by_torch", [False, True])
@pytest.mark.parametrize("shape", [(), (1,), (2, 4)])
def test_an_optimizer_of_what_no_model_has_is_restored(shape, by_torch, path):
    # Soft actor-critic has one for its temperature; (2, 4) is the shape of a weight of the actor.
    def make():
        return net(), torch.zeros(shape, requires_grad=True)

    (actor, log_alpha), (again, other_alpha) = make(), make()
    optimizer, other = Adam([log_alpha]), Adam([other_alpha])
    log_alpha.sum().backward()
    optimizer.step()
    parts = {"actor": actor, "alpha_optimizer": optimizer}
    if by_torch:
        torch.save({f"{name}_state_dict": part.state_dict() for name, part in parts.items()}, path)
    else:
        save(path, **parts)
    restore(path, actor=again, alpha_optimizer=other)
    assert bits({"": other}) == bits({"": optimizer})


def test_parts_of_other_kinds_are_restored(path):
    scaler = torch.amp.GradScaler("cpu")
    scaler.scale(torch.ones(1))
    scaler.update(8.0)
    save(path, scaler=scaler)
    again = torch.amp.GradScaler("cpu")
    restore(path, scaler=again)
    assert again.get_scale() == 8


class NotYet:
    """It has no state to give before it has one, as a ZeroRedundancyOptimizer in a new process."""

    def __init__(self, state=None):
        self.state = state

    def state_dict(self):
        if self.state is None:
            raise RuntimeError("Optimizer state has not been consolidated on this rank.")
        return self.state

    def load_state_dict(self, state):
        self.state = state


def test_a_part_that_has_no_state_yet_is_restored(path):
    save(path, part=NotYet({"a": 1}), model=net())
    part = NotYet()
    restore(path, part=part, model=net())
    assert part.state == {"a": 1}


class WithALock:
    """Its state holds something that cannot be copied."""

    def __init__(self):
        self.lock, self.number = threading.Lock(), 0

    def state_dict(self):
        return vars(self)

    def load_state_dict(self, state):
        self.number = state["number"]


def test_a_part_whose_state_cannot_be_copied_is_restored(path):
    torch.save({"part_state_dict": {"number": 3}}, path)
    part = WithALock()
    restore(path, part=part)
    assert part.number == 3

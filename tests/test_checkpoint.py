"""What is saved comes back, into every part or into none; and the right files are kept."""

import copy
import itertools
import json
import os
import random
import subprocess
import sys
import threading
from pathlib import Path

import numpy
import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations
from torch.optim import SGD, Adam, AdamW, lr_scheduler, swa_utils

from helpers.checkpoint import (
    CheckpointError,
    Checkpoints,
    CorruptError,
    MismatchError,
    SaveError,
    load,
    restore,
    save,
)
from helpers.models import LeNet

GOLDEN = sorted((Path(__file__).parent / "golden").glob("checkpoint-torch-*.tar"))
INPUT = torch.linspace(-1, 1, 12).view(4, 3)


def net(*sizes):
    return nn.Sequential(*(nn.Linear(a, b) for a, b in itertools.pairwise(sizes or (3, 4, 2))))


def train(model, optimizer, scheduler=None, steps=3):
    for _ in range(steps):
        optimizer.zero_grad()
        model(INPUT).pow(2).sum().backward()
        optimizer.step()
        if isinstance(scheduler, lr_scheduler.ReduceLROnPlateau):
            scheduler.step(1.0)
        elif scheduler:
            scheduler.step()


def parts(optimizer=Adam, scheduler=lr_scheduler.LinearLR, model=net, steps=3):
    """A model, its optimizer and its scheduler, in the middle of a training."""
    model = model()
    optimizer = optimizer(model.parameters(), lr=0.1)
    scheduler = scheduler(optimizer)
    train(model, optimizer, scheduler, steps)
    return {"model": model, "optimizer": optimizer, "scheduler": scheduler}


def bits(parts):
    """All that is in the parts' states, and in the global generators', to be compared with ==."""

    def plain(value):
        if isinstance(value, torch.Tensor):
            data = b"" if value.is_meta else value.detach().numpy().tobytes()
            return value.dtype, value.shape, data
        if isinstance(value, dict):
            return {key: plain(item) for key, item in value.items()}
        return [plain(item) for item in value] if isinstance(value, list | tuple) else value

    _, numbers, *others = numpy.random.get_state()
    generators = random.getstate(), plain(torch.get_rng_state()), numbers.tobytes(), others
    return plain({name: part.state_dict() for name, part in parts.items()}), generators


@pytest.fixture
def path(tmp_path):
    return tmp_path / "checkpoint.pt"


# ---- the file -----------------------------------------------------------------------------------


def test_the_documents_lines_read_the_file(path):
    saved, now = parts(), parts()
    save(path, epoch=5, **saved, loss=0.4)
    model, optimizer = now["model"], now["optimizer"]
    checkpoint = torch.load(path)
    model.load_state_dict(checkpoint["model_state_dict"])
    optimizer.load_state_dict(checkpoint["optimizer_state_dict"])
    now["scheduler"].load_state_dict(checkpoint["scheduler_state_dict"])
    assert (checkpoint["epoch"], checkpoint["loss"]) == (5, 0.4)
    assert bits(now) == bits(saved)


def test_a_file_that_the_documents_lines_wrote_is_restored(path):
    saved, now = parts(), parts()
    states = {f"{name}_state_dict": part.state_dict() for name, part in saved.items()}
    torch.save({"epoch": 5, **states, "random_state": 42, "made_for": "the course"}, path)
    rest = restore(path, **now)
    assert bits(now) == bits(saved)
    # These two names have a meaning in files of this module. In others they are values.
    assert rest == {"epoch": 5, "random_state": 42, "made_for": "the course"}


@pytest.mark.parametrize("golden", GOLDEN, ids=lambda golden: golden.stem.rpartition("-")[2])
@pytest.mark.filterwarnings("ignore:.*not verified")
def test_files_of_old_releases_are_restored(golden):
    model = LeNet()
    optimizer = SGD(model.parameters(), lr=0.1, momentum=0.5)
    rest = restore(golden, model=model, optimizer=optimizer)
    with torch.inference_mode():
        logits = model(torch.linspace(-1, 1, 4 * 3 * 32 * 32).view(4, 3, 32, 32))
    assert torch.allclose(logits, rest["logits"], rtol=0, atol=1e-6)
    saved = torch.load(golden)["optimizer_state_dict"]
    last = saved["state"][saved["param_groups"][0]["params"][-1]]["momentum_buffer"]
    assert torch.equal(optimizer.state[model.fc3.bias]["momentum_buffer"], last)
    assert optimizer.param_groups[0]["momentum"] == 0.9


def test_restore_returns_what_else_is_in_the_file(path):
    saved = parts()
    save(path, **saved, epoch=5, classes=["cat", "dog"])
    rest = restore(path, optimizer=saved["optimizer"])
    assert set(rest) == {"model_state_dict", "scheduler_state_dict", "epoch", "classes"}
    assert (rest["epoch"], rest["classes"]) == (5, ["cat", "dog"])


TENSORS = {
    "nothing": torch.ones(0),
    "scalar": torch.tensor(3, dtype=torch.int8),
    "half": torch.linspace(0, 1, 5, dtype=torch.bfloat16),
    "transposed": torch.arange(6).view(2, 3).T,
    "conjugate": torch.tensor([1 + 2j, 3 - 4j]).conj(),
    "negated": torch.tensor([1 + 2j, 3 - 4j]).conj().imag,
    "sparse": torch.eye(3).to_sparse(),
    "parameter": nn.Parameter(torch.ones(2)),
}


@pytest.mark.filterwarnings("ignore:Sparse CSR")
@pytest.mark.parametrize("background", [False, True])
def test_values_of_every_kind_come_back(background, tmp_path):
    plain = [None, True, 1 + 2j, b"x", {"a": (1, {2})}]
    tensors = {**TENSORS, "compressed": torch.eye(3).to_sparse_csr()}
    with Checkpoints(tmp_path, background=background) as checkpoints:
        path = checkpoints.save(1, **tensors, plain=plain)
    loaded = load(path)
    assert loaded["plain"] == plain
    for name, value in tensors.items():
        assert type(loaded[name]) is type(value), name
        assert loaded[name].dtype is value.dtype
        assert loaded[name].layout is value.layout
        assert torch.equal(loaded[name].to_dense(), value.to_dense()), name


@pytest.mark.parametrize(
    "given, named",
    [
        ({"model": nn.Linear(2, 2), "model_state_dict": 1}, "model and model_state_dict"),
        ({"model_state_dict": 1, "model": nn.Linear(2, 2)}, "model_state_dict and model"),
        ({"made_for": 1}, "made_for"),
        ({"random_state": 1}, "random_state"),
        ({"random": random.Random()}, "random share 'random_state'"),
    ],
    ids=lambda given: "+".join(given) if isinstance(given, dict) else "",
)
def test_no_value_takes_the_place_of_another(given, named, tmp_path):
    with pytest.raises(SaveError, match=named):
        Checkpoints(tmp_path).save(1, **given)
    assert list(tmp_path.iterdir()) == []


# ---- random numbers -----------------------------------------------------------------------------


def test_every_generator_goes_on_where_it_was(path):
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

    draw()  # now Python and numpy have a normal number in store
    save(path, **generators)
    first, second = draw(), draw()
    restore(path, **generators)
    assert draw() == first
    restore(path, random_state=False, **generators)
    mixed = draw()
    assert mixed[:3] == second[:3]  # the global ones went on
    assert mixed[3:] == first[3:]


def test_without_random_state_none_is_in_the_file(path):
    save(path, epoch=5, random_state=False)
    assert load(path) == {"epoch": 5}
    torch.manual_seed(1)
    before = torch.get_rng_state()
    assert restore(path) == {"epoch": 5}
    assert torch.equal(torch.get_rng_state(), before)


ENDS_AT_ONCE = """
import random, sys, numpy, torch
from helpers.checkpoint import Checkpoints

gone = Checkpoints("gone", background=True)
gone.folder.rmdir()
gone.save(1, v=1)  # and nobody asks what became of it
kept = Checkpoints("kept", background=True)
kept.save(1, weight=torch.ones(1 << 22))
print([random.random(), torch.rand(1).item(), numpy.random.rand()])
"""


@pytest.fixture(scope="module")
def ended(tmp_path_factory):
    """A process that saved in the background and ended."""
    folder = tmp_path_factory.mktemp("ended")
    command = [sys.executable, "-c", ENDS_AT_ONCE]
    return subprocess.run(command, cwd=folder, text=True, capture_output=True, check=True), folder


def test_a_process_that_ends_leaves_the_whole_file(ended):
    assert (load(ended[1] / "kept" / "step-00000001.pt")["weight"] == 1).all()


def test_another_process_draws_the_same_numbers(ended):
    restore(ended[1] / "kept")
    drawn = [random.random(), torch.rand(1).item(), numpy.random.rand()]
    assert json.loads(ended[0].stdout) == drawn


def test_an_error_that_nobody_waited_for_is_printed_at_the_end(ended):
    assert "SaveError: " in ended[0].stderr
    assert "gone" in ended[0].stderr


# ---- all or nothing -----------------------------------------------------------------------------


def meta(make):
    with torch.device("meta"):
        return make()


def stepping(parameters, model=None):
    return {"model": model or net(), "optimizer": Adam(parameters, lr=0.1)}


def optimizer_of(*sizes):
    return lambda: {"optimizer": parts(model=lambda: net(*sizes))["optimizer"]}


def of(**kinds):
    return lambda: parts(**kinds)


def step(o):
    return lr_scheduler.StepLR(o, 2)


def exponential(o):
    return lr_scheduler.ExponentialLR(o, 0.9)


def sequence(second):
    def make(o):
        return lr_scheduler.SequentialLR(o, [lr_scheduler.ConstantLR(o), second(o)], [2])

    return of(scheduler=make)


class Trainer:
    """A part that others are in, and that takes the first before it fails on the second."""

    def __init__(self, *sizes):
        self.parts = nn.Linear(2, 2), net(*sizes)

    def state_dict(self):
        return [part.state_dict() for part in self.parts]

    def load_state_dict(self, state):
        for part in self.parts:
            part.load_state_dict(state.pop(0))


MISMATCHES = {
    "one layer more": (of(), of(model=lambda: net(3, 4, 2, 2))),
    "another shape in the last layer": (of(), of(model=lambda: net(3, 4, 5))),
    "no such part": (lambda: {"model": net()}, of()),
    "a layer more than it steps": (of(), lambda: {"optimizer": Adam(net(3, 4).parameters())}),
    "SGD is no AdamW": (of(optimizer=SGD), of(optimizer=AdamW)),
    "AdamW is no SGD": (of(optimizer=AdamW), of(optimizer=SGD)),
    "Adam is no AdamW": (of(optimizer=Adam), of(optimizer=AdamW)),
    "AdamW is no Adam": (of(optimizer=AdamW), of(optimizer=Adam)),
    "ExponentialLR is no StepLR": (of(scheduler=exponential), of(scheduler=step)),
    "an old model's optimizer": (of(), lambda: stepping(net().parameters())),
    "an optimizer on meta": (of(), lambda: stepping((m := meta(net)).parameters(), m)),
    "a wider model's optimizer": (optimizer_of(3, 5, 2), optimizer_of(3, 4, 2)),
    "a part in a part": (lambda: {"all": Trainer()}, lambda: {"all": Trainer(3, 4, 5)}),
}
# These can only be known if it was this module that wrote the file.
OURS = {
    "StepLR is no ExponentialLR": (of(scheduler=step), of(scheduler=exponential)),
    "another scheduler inside": (sequence(step), sequence(exponential)),
    "another order": (of(), lambda: stepping([*(m := net()).parameters()][::-1], m)),
}


@pytest.mark.parametrize(
    "saved, now, by_torch",
    [(*case, by_torch) for by_torch in (False, True) for case in MISMATCHES.values()]
    + [(*case, False) for case in OURS.values()],
    ids=[*MISMATCHES, *(f"{name}, in a plain file" for name in MISMATCHES), *OURS],
)
def test_what_does_not_fit_changes_nothing(saved, now, by_torch, path):
    saved, now = saved(), now()
    if by_torch:
        torch.save({f"{name}_state_dict": part.state_dict() for name, part in saved.items()}, path)
    else:
        save(path, **saved)
    first, before = nn.Linear(2, 2), bits(now)
    untouched = copy.deepcopy(first.state_dict())
    with pytest.raises(CheckpointError, match="nothing was restored|has no"):
        restore(path, **now)
    assert bits(now) == before
    # … nor does it change those that come before it, and would fit:
    state = torch.load(path)
    torch.save({"first_state_dict": nn.Linear(2, 2).state_dict(), **state}, path)
    with pytest.raises(MismatchError, match="(?s)^(?!first)"):
        restore(path, first=first, **now)
    assert torch.equal(first.weight, untouched["weight"])


def expanded():
    model = nn.Linear(2, 2)
    model.weight = nn.Parameter(torch.ones(1).expand(2, 2))
    return model


def in_inference_mode():
    with torch.inference_mode():
        return nn.Linear(2, 2)


@pytest.mark.parametrize(
    "make, weight",
    [
        (lambda: nn.Linear(2, 2), torch.eye(2).to_sparse()),
        (lambda: nn.Linear(2, 2), torch.ones(2, 2, device="meta")),
        (expanded, torch.eye(2)),
        (in_inference_mode, torch.eye(2)),
    ],
    ids=["sparse", "meta", "into one that is expanded", "into one made in inference mode"],
)
def test_what_torch_finds_out_only_when_it_copies_changes_nothing(make, weight, path):
    first, model = net(), make()
    state = {"weight": weight, "bias": torch.ones(2)}
    torch.save({"first_state_dict": net().state_dict(), "model_state_dict": state}, path)
    before = bits({"first": first, "model": model})
    with pytest.raises(MismatchError, match="model"):
        restore(path, first=first, model=model)
    assert bits({"first": first, "model": model}) == before


class Hooked(nn.Linear):
    def __init__(self):
        super().__init__(3, 4)
        self.loads = 0
        self.register_load_state_dict_pre_hook(Hooked.count)

    def count(self, *_):
        self.loads += 1


class Sampler:
    def __init__(self):
        self.generator = torch.Generator()

    def state_dict(self):
        return {"generator": self.generator.get_state()}

    def load_state_dict(self, state):
        self.generator.set_state(state["generator"])


class Loader:
    def __init__(self):
        self.sampler = Sampler()

    def state_dict(self):
        return {"sampler": self.sampler.state_dict()}

    def load_state_dict(self, state):
        self.sampler.load_state_dict(state["sampler"])


@pytest.mark.filterwarnings("ignore:Lazy")
def test_to_try_a_state_leaves_no_trace(path):
    saved = {"lazy": nn.LazyLinear(4), "hooked": Hooked(), "loader": Loader()}
    saved["lazy"](INPUT)
    save(path, **saved, model=net())
    now = {"lazy": nn.LazyLinear(4), "hooked": Hooked(), "loader": Loader()}
    torch.rand(1, generator=now["loader"].sampler.generator)
    other = net(3, 5)
    before = bits({"loader": now["loader"]})
    with pytest.raises(MismatchError, match="model"):
        restore(path, **now, model=other)
    assert nn.parameter.is_lazy(now["lazy"].weight)
    assert now["hooked"].loads == 0
    assert bits({"loader": now["loader"]}) == before
    restore(path, **now)
    assert now["hooked"].loads == 1
    assert bits(now) == bits(saved)


@pytest.mark.parametrize("name", ["torch", "python", "numpy"])
def test_a_random_state_that_makes_no_sense_changes_nothing(name, path):
    saved, now = parts(), parts()
    save(path, **saved)
    state = torch.load(path)
    state["random_state"][name] = {"torch": torch.ones(3), "python": (3, (1, 2), None)}.get(name, 0)
    torch.save(state, path)
    torch.rand(1), random.random(), numpy.random.rand()
    before = bits(now)
    with pytest.raises(MismatchError, match=name):
        restore(path, **now)
    assert bits(now) == before
    restore(path, random_state=False, **now)  # for nobody asked for it
    assert bits(now) == bits(saved)


def test_what_is_no_dict_and_what_has_no_state_are_told_apart(path):
    torch.save([1, 2], path)
    with pytest.raises(MismatchError, match="list"):
        restore(path, model=net())
    save(path, epoch=5)
    with pytest.raises(TypeError, match="epoch"):
        restore(path, epoch=4)


# ---- models, optimizers and schedulers of every kind -------------------------------------------


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Linear(3, 3), nn.Linear(3, 3)
        self.last.weight = self.first.weight

    def forward(self, x):
        return self.last(self.first(x))


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
    "compiled": lambda: torch.compile(net(), backend="eager"),
}


@pytest.mark.filterwarnings("ignore:.*(Lazy|weight_norm)")
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
    ],
    ids=["renamed by a hook", "weight_norm", "BatchNorm"],
)
def test_what_torch_adapts_to_the_model_is_restored(make, state, path):
    model, state = make(), state()
    expected = copy.deepcopy(model)
    torch.save({"model_state_dict": state}, path)
    restore(path, model=model)
    expected.load_state_dict(state)
    assert bits({"model": model}) == bits({"model": expected})


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
def test_training_goes_on_as_if_it_had_not_been_stopped(make, optimizer, path):
    saved, now = parts(optimizer, make), parts(optimizer, make, steps=0)
    save(path, **saved)
    train(**saved, steps=4)
    restore(path, **now)
    train(**now, steps=4)
    assert bits(now) == bits(saved)


OPTIMIZERS = [kind for kind in vars(torch.optim).values() if isinstance(kind, type)]
OPTIMIZERS.remove(torch.optim.Optimizer)


@pytest.mark.parametrize("kind", OPTIMIZERS, ids=lambda kind: kind.__name__)
def test_an_optimizer_of_any_kind_is_restored(kind, path):
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


def test_parts_of_other_kinds_are_restored(path):
    scaler, alpha = torch.amp.GradScaler("cpu"), torch.zeros(1, requires_grad=True)
    scaler.scale(torch.ones(1))
    scaler.update(8.0)
    model, optimizer = net(), Adam([alpha], lr=0.1)  # which steps nothing that a module has
    alpha.sum().backward()
    optimizer.step()
    save(path, model=model, scaler=scaler, optimizer=optimizer)
    moment = optimizer.state[alpha]["exp_avg"].clone()
    optimizer.step()
    again = torch.amp.GradScaler("cpu")
    restore(path, model=model, scaler=again, optimizer=optimizer)
    assert again.get_scale() == 8
    assert torch.equal(optimizer.state[alpha]["exp_avg"], moment)


def test_a_layer_may_be_in_two_parts(path):
    encoder = nn.Linear(3, 4)
    model = nn.Sequential(encoder, nn.Linear(4, 2))
    optimizer = Adam(model.parameters())
    save(path, model=model, encoder=encoder, optimizer=optimizer)
    restore(path, encoder=encoder, model=model, optimizer=optimizer)
    restore(path, model=model, optimizer=optimizer)


# ---- models on meta -----------------------------------------------------------------------------


@pytest.mark.parametrize("make", [net, Tied, lambda: nn.BatchNorm1d(3, affine=False)])
def test_a_model_on_meta_becomes_real(make, path):
    saved, now = make(), meta(make)
    for parameter in itertools.islice(now.parameters(), 1):
        parameter.requires_grad_(False)
    trained = [parameter.requires_grad for parameter in now.parameters()]
    saved(INPUT)
    save(path, model=saved)
    restore(path, model=now)
    assert {t.device.type for t in now.state_dict().values()} == {"cpu"}
    assert torch.equal(now.eval()(INPUT), saved.eval()(INPUT))
    if make is Tied:
        assert now.last.weight is now.first.weight
    assert [isinstance(p, nn.Parameter) and p.requires_grad for p in now.parameters()] == trained


def test_what_is_real_beside_it_stays_the_same_parameter(path):
    save(path, model=net())
    model = net()
    model[0] = meta(lambda: nn.Linear(3, 4))
    head = model[1].weight
    restore(path, model=model)
    assert not model[0].weight.is_meta
    assert model[1].weight is head


def test_a_buffer_on_meta_that_no_file_has_is_an_error(path):
    def make():
        model = net()
        model.register_buffer("table", torch.ones(3), persistent=False)
        return model

    save(path, model=make())
    model = meta(make)
    with pytest.raises(MismatchError, match="table"):
        restore(path, model=model)
    assert all(p.is_meta for p in model.parameters())


# ---- a folder of checkpoints --------------------------------------------------------------------


def steps(folder):
    return [int(path.stem.removeprefix("step-")) for path in sorted(folder.iterdir())]


def damage(path):
    raw = bytearray(path.read_bytes())
    raw[raw.index(torch.ones(64).numpy().tobytes()) + 9] ^= 1
    path.write_bytes(raw)


def fill(folder, *numbers, **options):
    with Checkpoints(folder, **options) as checkpoints:
        for step in numbers:
            checkpoints.save(step, step=step, weight=torch.ones(64))
    return checkpoints


def test_the_folder_is_made_and_its_files_are_named_by_their_steps(tmp_path):
    checkpoints = Checkpoints(tmp_path / "run")
    path = checkpoints.save(12, epoch=1)
    assert path == tmp_path / "run" / "step-00000012.pt"
    assert checkpoints.paths == [path]
    assert checkpoints.restore() == {"epoch": 1}


def test_the_folder_is_the_same_wherever_the_process_goes(tmp_path, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    checkpoints = Checkpoints("run", keep_last=1, metric="score")
    checkpoints.save(1, score=1)
    monkeypatch.chdir("elsewhere")
    path = checkpoints.save(2, score=2)
    assert checkpoints.paths == [path] == [checkpoints.best] == [*(tmp_path / "run").iterdir()]
    assert checkpoints.restore() == {"score": 2}


def test_a_message_is_short_about_what_is_in_the_working_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    checkpoints = Checkpoints("run")
    checkpoints.folder.rmdir()
    with pytest.raises(SaveError, match="^'run.*step-00000001.pt' was not .* no folder 'run'"):
        checkpoints.save(1)


@pytest.mark.parametrize("background", [False, True])
@pytest.mark.parametrize("keep, kept", [(1, [11]), (2, [10, 11]), (None, [8, 9, 10, 11])])
def test_the_last_ones_are_kept(background, keep, kept, tmp_path):
    fill(tmp_path, 8, 9, 10, 11, keep_last=keep, background=background)
    assert steps(tmp_path) == kept


def test_the_highest_number_is_the_newest_whatever_the_length_and_the_time(tmp_path):
    for number, ending in ((10, "pt"), (9, "pth"), (100, "tar")):
        save(tmp_path / f"epoch-{number}.{ending}", number=number)
    os.utime(tmp_path / "epoch-100.tar", (0, 0))
    assert load(tmp_path)["number"] == 100


def test_the_one_just_saved_is_never_deleted(tmp_path):
    fill(tmp_path, 100, 200, keep_last=2)
    fill(tmp_path, 1, keep_last=2)  # a new run in an old folder
    assert steps(tmp_path) == [1, 100, 200]


def test_what_it_did_not_write_is_never_deleted(tmp_path):
    names = {"final.pt", "pretrained.pth", "step-best.pt", "step-00000001-copy.pt", "1.pt"}
    for name in names:
        save(tmp_path / name, v=1)
    fill(tmp_path, 1, 2, keep_last=1)
    assert {path.name for path in tmp_path.iterdir()} == names | {"step-00000002.pt"}


NAN = float("nan")


@pytest.mark.parametrize("restart", [False, True])
@pytest.mark.parametrize(
    "mode, scores, best, kept",
    [
        ("max", [0.1, 0.9, 0.5, 0.3], 2, [2, 3, 4]),
        ("min", [0.1, 0.9, 0.5, 0.3], 1, [1, 4]),
        ("max", [NAN, 0.2, NAN, 0.1], 2, [2, 4]),
        ("min", [NAN, 0.2, NAN, NAN], 2, [2, 4]),
        ("max", [1, 1, 1, 1], 1, [1, 2, 4]),  # of equals, the older
        ("max", [float("-inf"), 0.0, float("inf"), 0.0], 3, [2, 3, 4]),
    ],
)
def test_the_best_ones_are_kept(restart, mode, scores, best, kept, tmp_path):
    def make():
        return Checkpoints(tmp_path, keep_last=1, keep_best=2, metric="score", mode=mode)

    checkpoints = make()
    for number, score in enumerate(scores, 1):
        path = checkpoints.save(number, score=score)
        assert path.is_file()
        if restart:
            checkpoints = make()
    assert steps(tmp_path) == kept
    assert checkpoints.best == tmp_path / f"step-{best:08d}.pt"


def test_what_is_saved_anew_has_its_new_score(tmp_path):
    checkpoints = Checkpoints(tmp_path, metric="score")
    for number, score in ((1, 0.9), (2, 0.5), (1, 0.1)):
        checkpoints.save(number, score=score)
    assert checkpoints.best == tmp_path / "step-00000002.pt"


def test_the_best_is_one_that_is_intact(tmp_path):
    options = {"keep_last": 1, "keep_best": 1, "metric": "score"}
    for number, score in enumerate((0.5, 0.9, 0.1), 1):
        path = tmp_path / f"step-{number:08d}.pt"
        save(path, score=score, weight=torch.ones(64))
    damage(tmp_path / "step-00000002.pt")
    checkpoints = Checkpoints(tmp_path, **options)
    assert load(checkpoints.best)["score"] == 0.5
    checkpoints.save(4, score=0.2)
    assert 1 in steps(tmp_path)


@pytest.mark.parametrize("other", [False, True])
def test_it_may_be_asked_for_the_best_while_others_come_and_go(other, tmp_path):
    options = {"keep_last": 1, "keep_best": 1, "metric": "score"}
    with Checkpoints(tmp_path, background=True, **options) as checkpoints:
        asked = Checkpoints(tmp_path, **options) if other else checkpoints  # as in another process
        best = checkpoints.save(0, score=10)
        checkpoints.wait()
        for number in range(1, 100):
            checkpoints.save(number, score=number % 7)
            assert asked.best == best
            assert best in asked.paths


def test_without_a_score_there_is_no_best(tmp_path):
    checkpoints = Checkpoints(tmp_path, metric="score")
    with pytest.raises(FileNotFoundError, match="score"):
        _ = checkpoints.best
    for score in (None, "0.5", torch.tensor(0.5)):
        with pytest.raises(SaveError, match="score"):
            checkpoints.save(1, score=score)


def test_nothing_is_deleted_for_one_that_could_not_be_saved(tmp_path):
    fill(tmp_path, 1, 2, keep_last=2)
    checkpoints = Checkpoints(tmp_path, keep_last=1)
    with pytest.raises(SaveError):
        checkpoints.save(3, v=object())
    (tmp_path / "step-00000003.pt").mkdir()  # it cannot be replaced by a file
    with pytest.raises(SaveError):
        checkpoints.save(3, v=1)
    assert steps(tmp_path) == [1, 2, 3]


def test_the_newest_that_is_intact_is_restored_and_the_others_are_named(tmp_path):
    checkpoints = fill(tmp_path, 1, 2, 3)
    damage(tmp_path / "step-00000002.pt")
    (tmp_path / "step-00000003.pt").write_bytes(b"")
    for call in (checkpoints.restore, lambda: load(tmp_path), lambda: restore(tmp_path)):
        with pytest.warns(UserWarning, match="(?s)step-00000003.*step-00000002.*checksum"):
            assert call()["step"] == 1
    # A new one takes the place of an intact one, and not of a damaged one.
    checkpoints = Checkpoints(tmp_path, keep_last=2)
    with pytest.warns(UserWarning):
        checkpoints.restore()
    checkpoints.save(2, step=2)
    with pytest.warns(UserWarning, match="step-00000003"):
        assert load(tmp_path)["step"] == 2
    assert 1 in steps(tmp_path)


def test_a_link_to_nothing_is_passed_over_and_named(tmp_path):
    link = tmp_path / "step-00000002.pt"
    try:
        link.symlink_to("missing")
    except OSError:
        pytest.skip("Windows asks for a right to make links")
    with pytest.raises(CorruptError, match=link.name):
        load(tmp_path)
    checkpoints = fill(tmp_path, 1, metric="step")
    with pytest.warns(UserWarning, match=link.name):
        assert load(tmp_path)["step"] == 1
    assert checkpoints.best.name == "step-00000001.pt"


def test_a_folder_without_an_intact_checkpoint_is_an_error(tmp_path):
    checkpoints = Checkpoints(tmp_path)
    for call in (checkpoints.restore, lambda: load(tmp_path), lambda: restore(tmp_path)):
        with pytest.raises(FileNotFoundError):
            call()
    fill(tmp_path, 1, 2)
    damage(tmp_path / "step-00000001.pt")
    damage(tmp_path / "step-00000002.pt")
    for call in (checkpoints.restore, lambda: load(tmp_path), lambda: restore(tmp_path)):
        with pytest.raises(CorruptError, match="(?s)00002.*00001"):
            call()


@pytest.mark.parametrize(
    "options",
    [{"keep_last": 0}, {"keep_best": 1}, {"keep_best": -1, "metric": "a"}, {"mode": "best"}],
)
def test_arguments_that_make_no_sense_are_an_error(options, tmp_path):
    with pytest.raises(ValueError):
        Checkpoints(tmp_path / "run", **options)
    assert not (tmp_path / "run").exists()
    for step in (-1, 1.5, "1"):
        with pytest.raises(ValueError):
            Checkpoints(tmp_path).save(step, v=1)
    assert list(tmp_path.iterdir()) == []


# ---- in the background --------------------------------------------------------------------------


@pytest.fixture
def fair_threads():
    """No thread goes far while another waits."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def test_what_is_saved_is_what_was_there_when_save_was_called(tmp_path, fair_threads):
    saved = parts()
    counts, names, raw, whole = [1], {"a"}, bytearray(b"a"), torch.zeros(1 << 20)
    slow, before = [0.5] * 20_000, bits(saved)  # slow to write, so that the others are late
    with Checkpoints(tmp_path, background=True) as checkpoints:
        values = {"slow": slow, "counts": counts, "names": names, "raw": raw, "row": whole[:3]}
        path = checkpoints.save(1, **values, **saved)
        counts.append(2)
        names.add("b")
        raw.extend(b"b")
        saved["optimizer"].param_groups[0]["lr"] = 7
        whole += 1
        with torch.no_grad():
            for parameter in saved["model"].parameters():
                parameter.fill_(7)
                saved["optimizer"].state[parameter]["exp_avg"].fill_(7)
        random.seed(7), torch.manual_seed(7), numpy.random.seed(7)
    now = parts()
    rest = restore(path, **now)
    assert bits(now) == before
    assert (rest["counts"], rest["names"], rest["raw"]) == ([1], {"a"}, b"a")
    assert rest["row"].tolist() == [0, 0, 0]


def test_what_was_one_in_memory_is_one_in_the_file(tmp_path):
    whole = torch.arange(1000)
    with Checkpoints(tmp_path, background=True) as checkpoints:
        path = checkpoints.save(1, model=Tied(), flat=whole, views=[whole[:10], whole[990:]])
    loaded = load(path)
    state = loaded["model_state_dict"]
    assert state["first.weight"].data_ptr() == state["last.weight"].data_ptr()
    loaded["flat"].fill_(-1)
    assert all((view == -1).all() for view in loaded["views"])


def test_the_default_device_is_not_asked(tmp_path):
    # As with torch.set_default_device("cuda"). Meta is the other device that is everywhere.
    with torch.device("meta"), Checkpoints(tmp_path, background=True) as checkpoints:
        path = checkpoints.save(1, weight=TENSORS["half"])
    assert torch.equal(load(path)["weight"], TENSORS["half"])


def fails(folder):
    """Checkpoints of which one could not be saved, in the background."""
    checkpoints = Checkpoints(folder, background=True)
    checkpoints.save(1, v=1)
    checkpoints.wait()
    (folder / "step-00000002.pt").mkdir()
    checkpoints.save(2, v=2)
    return checkpoints


@pytest.mark.parametrize(
    "next_call",
    [
        lambda checkpoints: checkpoints.restore(),
        lambda checkpoints: checkpoints.wait(),
        lambda checkpoints: checkpoints.close(),
        lambda checkpoints: checkpoints.__exit__(None, None, None),
    ],
    ids=["restore", "wait", "close", "exit"],
)
def test_an_error_in_the_background_is_raised_by_the_next_call(next_call, tmp_path):
    checkpoints = fails(tmp_path)
    with pytest.raises(SaveError, match="step-00000002.pt"):
        next_call(checkpoints)
    checkpoints.close()  # it is raised once
    (tmp_path / "step-00000002.pt").rmdir()
    assert load(tmp_path)["v"] == 1


def test_an_error_about_the_one_before_does_not_keep_the_next_from_being_saved(tmp_path):
    checkpoints = fails(tmp_path)
    with pytest.raises(SaveError, match="step-00000002.pt"):
        checkpoints.save(3, v=3)
    checkpoints.close()
    assert load(tmp_path / "step-00000003.pt")["v"] == 3


def test_after_close_it_is_said_that_nothing_is_saved(tmp_path):
    with Checkpoints(tmp_path, background=True) as checkpoints:
        checkpoints.save(1, v=1)
    with pytest.raises(SaveError, match="closed"):
        checkpoints.save(2, v=2)
    assert checkpoints.restore() == {"v": 1}


def test_what_cannot_be_loaded_is_refused_at_once_in_the_background_too(tmp_path):
    with (
        Checkpoints(tmp_path, background=True) as checkpoints,
        pytest.raises(SaveError, match="v.*object"),
    ):
        checkpoints.save(1, v=object())
    assert list(tmp_path.iterdir()) == []


def test_restore_waits_for_the_save_before(tmp_path):
    with Checkpoints(tmp_path, background=True) as checkpoints:
        checkpoints.save(1, weight=torch.ones(1 << 20), step=1)
        assert checkpoints.restore()["step"] == 1

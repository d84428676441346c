"""After an exception, restore leaves every part as it was. The objects stay the same ones."""

import copy
import random
import threading

import numpy
import pytest
import torch
from torch import nn
from torch.optim import SGD, Adam, AdamW, lr_scheduler
from torch.testing._internal.two_tensor import TwoTensor

from helpers.checkpoint import CheckpointError, MismatchError, load, restore, save
from parts import INPUT, Wrapped, bits, net, training


@pytest.fixture
def path(tmp_path):
    return tmp_path / "checkpoint.pt"


# ---- the state does not fit ---------------------------------------------------------------------


def of(**kinds):
    return lambda: training(**kinds)


def optimizer_of(*sizes):
    return lambda: {"optimizer": training(model=lambda: net(*sizes))["optimizer"]}


def step(o):
    return lr_scheduler.StepLR(o, 2)


def exponential(o):
    return lr_scheduler.ExponentialLR(o, 0.9)


class Trainer:
    """A part with other parts in it. It loads the first one before it fails on the second."""

    def __init__(self, *sizes):
        self.parts = nn.Linear(2, 2), net(*sizes)

    def state_dict(self):
        return [part.state_dict() for part in self.parts]

    def load_state_dict(self, state):
        for part in self.parts:
            part.load_state_dict(state.pop(0))


def stepping_backwards():
    model = net()
    return {"model": model, "optimizer": Adam([*model.parameters()][::-1], lr=0.1)}


MISMATCHES = {
    "one layer more": (of(), of(model=lambda: net(3, 4, 2, 2))),
    "another shape in the last layer": (of(), of(model=lambda: net(3, 4, 5))),
    "no such part": (lambda: {"model": net()}, of()),
    "a layer more than it steps": (of(), lambda: {"optimizer": Adam(net(3, 4).parameters())}),
    "the optimizer of a wider model": (optimizer_of(3, 5, 2), optimizer_of(3, 4, 2)),
    "the parameters in another order": (of(), stepping_backwards),
    "a part in a part": (lambda: {"all": Trainer()}, lambda: {"all": Trainer(3, 4, 5)}),
}
# These are only certain if the helper wrote the file: plain torch does not store the class.
CLASSES = {
    "SGD is not AdamW": (of(optimizer=SGD), of(optimizer=AdamW)),
    "AdamW is not SGD": (of(optimizer=AdamW), of(optimizer=SGD)),
    "Adam is not AdamW": (of(optimizer=Adam), of(optimizer=AdamW)),
    "AdamW is not Adam": (of(optimizer=AdamW), of(optimizer=Adam)),
    "ExponentialLR is not StepLR": (of(scheduler=exponential), of(scheduler=step)),
    "StepLR is not ExponentialLR": (of(scheduler=step), of(scheduler=exponential)),
}


@pytest.mark.parametrize(
    "saved, now, by_torch",
    [(*case, by_torch) for by_torch in (False, True) for case in MISMATCHES.values()]
    + [(*case, False) for case in CLASSES.values()],
    ids=[*MISMATCHES, *(f"{name}, in a plain file" for name in MISMATCHES), *CLASSES],
)
def test_a_state_that_does_not_fit_changes_nothing(saved, now, by_torch, path):
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
    # … nor does it change the parts before it, which would fit:
    state = torch.load(path)
    torch.save({"first_state_dict": nn.Linear(2, 2).state_dict(), **state}, path)
    before = bits(now)
    with pytest.raises(MismatchError, match="(?s)^(?!first)"):
        restore(path, first=first, **now)
    assert torch.equal(first.weight, untouched["weight"])
    assert bits(now) == before


def test_the_error_names_the_part_and_is_one_that_callers_catch(path):
    save(path, model=net(3, 5))
    with pytest.raises(RuntimeError, match="(?s)^model .*nothing was restored.*size mismatch"):
        restore(path, model=net(3, 4))


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
def test_what_torch_only_notices_while_it_copies_changes_nothing(make, weight, path):
    first, model = net(), make()
    state = {"weight": weight, "bias": torch.ones(2)}
    torch.save({"first_state_dict": net().state_dict(), "model_state_dict": state}, path)
    before = bits({"first": first, "model": model})
    with pytest.raises(MismatchError, match="model"):
        restore(path, first=first, model=model)
    assert bits({"first": first, "model": model}) == before


@pytest.mark.parametrize("make", [net, lambda: nn.BatchNorm1d(3)])
def test_a_model_on_meta_is_refused_with_what_to_do(make, path):
    save(path, first=net(), model=make())
    with torch.device("meta"):
        model = make()
    first = net()
    before = bits({"first": first})
    with pytest.raises(MismatchError, match=r"It is on meta: call model.to_empty\(device='cpu'"):
        restore(path, first=first, model=model)
    assert bits({"first": first}) == before
    model.to_empty(device="cpu")
    restore(path, first=first, model=model)
    assert not any(tensor.is_meta for tensor in model.state_dict().values())


# ---- an exception while the parts are loaded ----------------------------------------------------


class Replay:
    """Its state is changed in place, like that of an array, a deque or a set."""

    def __init__(self, *items):
        self.items = numpy.array(items, dtype=float)

    def state_dict(self):
        return {"items": self.items.tolist()}

    def load_state_dict(self, state):
        self.items[:] = state["items"]


class Live:
    """Its state is the live object, not a copy."""

    def __init__(self, *items):
        self.items, self.weight = list(items), torch.tensor(items)

    def state_dict(self):
        return vars(self)

    def load_state_dict(self, state):
        self.items[:] = state["items"]
        self.weight.copy_(state["weight"])


class Fails:
    """Takes half of its state, and raises."""

    def __init__(self, error=None):
        self.error, self.half = error, 0

    def state_dict(self):
        return {"half": self.half}

    def load_state_dict(self, state):
        self.half = state["half"]
        if self.error:
            error, self.error = self.error, None  # once
            raise error


def everything():
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout(), nn.Linear(4, 2))
    parts = training(model=lambda: model)
    return {**parts, "replay": Replay(1, 2), "live": Live(1, 2), "generator": random.Random(3)}


def look(parts):
    with_state_dict = {name: one for name, one in parts.items() if hasattr(one, "state_dict")}
    return bits(with_state_dict), parts["generator"].getstate(), parts["replay"].items.tolist()


ERRORS = [
    torch.OutOfMemoryError("CUDA out of memory."),
    MemoryError(),
    KeyboardInterrupt(),
    SystemExit(3),
    ValueError("NaN in the weights"),
    OSError(5, "Input/output error"),
    GeneratorExit(),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("first", [False, True], ids=["the last one fails", "the first one fails"])
def test_any_exception_leaves_every_part_as_it_was(error, first, path):
    saved = everything()
    save(path, **saved, fails=Fails())
    now = everything()
    now["replay"].items[:] = 7
    torch.rand(3), random.random(), numpy.random.rand()
    before, failing = look(now), Fails(error)
    failing.half = 9
    parts = {"fails": failing, **now} if first else {**now, "fails": failing}
    mismatch = isinstance(error, ValueError | OSError)
    with pytest.raises(MismatchError if mismatch else type(error)) as raised:
        restore(path, **parts)
    assert look(now) == before
    assert failing.half == 9
    assert mismatch or raised.value is error  # memory and interrupts are not about the state
    restore(path, **parts)
    assert look(now) == look(saved)


def test_a_part_that_cannot_be_put_back_does_not_keep_the_others_from_it(path):
    class Always(Fails):
        def load_state_dict(self, state):
            raise ValueError("always")

    save(path, model=net(), always=Fails(), last=net())
    parts = {"model": net(), "always": Always(), "last": net()}
    before = bits(parts)
    with pytest.raises(
        MismatchError, match="always refused its state; not put back: always. always"
    ):
        restore(path, **parts)
    assert bits(parts) == before


def test_a_part_without_a_state_to_go_back_to_is_loaded_last(path):
    class NotYet(Replay):
        def state_dict(self):
            raise RuntimeError("not consolidated yet")

    save(path, late=Replay(1), model=net(3, 5))
    late = NotYet(0)
    with pytest.raises(MismatchError, match="model"):
        restore(path, late=late, model=net())
    assert late.items.tolist() == [0]
    restore(path, late=late)
    assert late.items.tolist() == [1]


class Validating(nn.Linear):
    def load_state_dict(self, state_dict, strict=True):
        result = super().load_state_dict(state_dict, strict)
        if not all(parameter.isfinite().all() for parameter in self.parameters()):
            raise ValueError("NaN in the weights")
        return result


def test_a_load_state_dict_that_validates_afterwards_is_undone(path):
    model = Validating(2, 2)
    with torch.no_grad():
        broken = nn.Linear(2, 2)
        broken.weight[0, 0] = float("nan")
    torch.save({"model_state_dict": broken.state_dict()}, path)
    before = bits({"": model})
    with pytest.raises(MismatchError, match="NaN in the weights"):
        restore(path, model=model)
    assert bits({"": model}) == before


class WithDel(nn.Linear):
    def __del__(self):
        pass  # it could close a handle


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("layer", [WithDel, lambda *sizes: torch.jit.script(nn.Linear(*sizes))])
def test_layers_with_del_and_torchscript_layers_are_put_back(layer, path):
    save(path, model=nn.Sequential(layer(3, 4), nn.Linear(4, 2)))
    model = nn.Sequential(layer(3, 4), nn.Linear(4, 5))
    before = model[0].weight.clone()
    with pytest.raises(MismatchError):
        restore(path, model=model)
    assert torch.equal(model[0].weight, before)


@pytest.mark.parametrize("name", ["torch", "python", "numpy"])
def test_a_random_state_that_makes_no_sense_changes_nothing(name, path):
    saved, now = training(), training()
    save(path, **saved)
    state = torch.load(path)
    state["random_state"][name] = {"torch": torch.ones(3), "python": (3, (1, 2), None)}.get(name, 0)
    torch.save(state, path)
    torch.rand(1), random.random(), numpy.random.rand()
    before = bits(now)
    with pytest.raises(MismatchError, match=name):
        restore(path, **now)
    assert bits(now) == before
    restore(path, random_state=False, **now)  # which does not need it
    assert bits(now) == bits(saved)


class Drawing(Replay):
    """Draws a random number to return its state, as a StatefulDataLoader does for its workers."""

    def state_dict(self):
        torch.rand(1)
        return super().state_dict()


def test_a_part_that_draws_to_tell_its_state_does_not_move_the_random_numbers(path):
    save(path, loader=Drawing(1), model=net())
    wider = net(3, 5)
    before = torch.get_rng_state()
    with pytest.raises(MismatchError):
        restore(path, loader=Drawing(2), model=wider)
    assert torch.equal(torch.get_rng_state(), before)


# ---- after a success ----------------------------------------------------------------------------


class UNet(nn.Module):
    """Its hook keeps a skip connection and is removed with the model, as in fastai."""

    def __init__(self):
        super().__init__()
        self.encoder, self.head, self.kept = nn.Linear(3, 3), nn.Linear(6, 2), []
        self.hook = self.encoder.register_forward_hook(lambda _, args, out: self.kept.append(out))

    def forward(self, x):
        self.kept.clear()
        return self.head(torch.cat([self.encoder(x), *self.kept], -1))

    def __del__(self):
        self.hook.remove()


def test_the_hooks_of_a_model_with_del_stay(path):
    model = UNet()
    save(path, model=model)
    restore(path, model=model)
    assert len(model.encoder._forward_hooks) == 1
    assert model(INPUT).shape == (4, 2)


def test_the_objects_stay_the_same_ones(path):
    parts = training()
    save(path, **parts)
    model, optimizer = parts["model"], parts["optimizer"]
    held = [(parameter, parameter.data_ptr()) for parameter in model.parameters()]
    fired = []
    model.register_load_state_dict_post_hook(lambda module, keys: fired.append("model"))
    optimizer.register_load_state_dict_post_hook(lambda optimizer: fired.append("optimizer"))
    restore(path, **parts)
    assert fired == ["model", "optimizer"]  # each once
    for (before, place), after in zip(held, model.parameters(), strict=True):
        assert before is after
        assert after.data_ptr() == place
    assert optimizer.param_groups[0]["params"][0] is model[0].weight
    assert parts["scheduler"].optimizer is optimizer


# ---- what is not a state ------------------------------------------------------------------------


def test_errors_for_a_file_without_a_dict_and_for_a_value_differ(path):
    torch.save([1, 2], path)
    with pytest.raises(MismatchError, match=r"holds a list, not a dict: use load\(path\)"):
        restore(path, model=net())
    save(path, epoch=5)
    with pytest.raises(TypeError, match="epoch has no state to restore"):
        restore(path, epoch=4)
    assert load(path)["epoch"] == 5


def test_a_missing_state_is_named_beside_those_there_are(path):
    save(path, generator=net(), epoch=5)
    with pytest.raises(MismatchError, match="no 'model_state_dict'. It has: generator_state_dict"):
        restore(path, model=net())


def test_tensors_without_a_storage_are_put_back(path):
    """DTensor and the tensors of torchao have none: they wrap other tensors."""
    torch.serialization.add_safe_globals([TwoTensor])
    save(path, model=Wrapped(net(), 2.0), fails=Fails())
    model = Wrapped(net(), 1.0)
    with pytest.raises(MismatchError, match="fails refused its state; nothing was restored"):
        restore(path, model=model, fails=Fails(ValueError()))
    assert [p.a.unique().item() for p in model.parameters()] == [1.0] * 4


def test_a_part_whose_state_cannot_be_copied_is_named_if_it_could_not_be_put_back(path):
    class Graph:
        """Its state contains objects that deepcopy refuses and objects that are not tensors."""

        def __init__(self, value):
            self.value = value

        def state_dict(self):
            return {"value": self.value, "lock": threading.Lock()}

        def load_state_dict(self, state):
            self.value = state["value"]

    torch.save({"one_state_dict": {"value": 1}, "two_state_dict": {}}, path)
    with pytest.raises(MismatchError, match="two refused its state; not put back: two, one"):
        restore(path, one=Graph(0), two=Graph(0))


def test_what_a_part_did_not_have_before_is_taken_away_again(path):
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    other = lr_scheduler.CosineAnnealingLR(optimizer, 10)
    torch.save({"scheduler_state_dict": other.state_dict(), "fails_state_dict": {"half": 1}}, path)
    scheduler = lr_scheduler.StepLR(optimizer, 2)
    before = scheduler.state_dict()
    with pytest.raises(MismatchError, match="nothing was restored"):
        restore(path, scheduler=scheduler, fails=Fails(ValueError()))
    assert scheduler.state_dict() == before


def test_a_part_that_was_refused_unloaded_is_not_called_lost(path):
    """Its class differs, so nothing was loaded into it, and nothing needs to be undone."""

    class Once(torch.optim.SGD):
        def load_state_dict(self, state_dict):
            raise ValueError("never")

    model = net()
    save(path, optimizer=torch.optim.Adam(model.parameters()))
    with pytest.raises(MismatchError, match="optimizer refused its state; nothing was restored"):
        restore(path, optimizer=Once(model.parameters()))


def test_a_part_may_be_called_like_a_generator(path):
    class Refuses(Fails):
        def load_state_dict(self, state):
            raise ValueError("never")

    save(path, python=Fails(), model=net())
    with pytest.raises(MismatchError, match="python refused its state; not put back: python. nev"):
        restore(path, python=Refuses(), model=net())


@pytest.mark.parametrize("by_torch", [False, True])
@pytest.mark.parametrize("random_state", [False, True])
def test_random_numbers_that_a_part_draws_are_put_back(by_torch, random_state, path):
    class Draws(nn.Linear):
        def load_state_dict(self, state_dict, strict=True):
            self.reset_parameters()
            return super().load_state_dict(state_dict, strict)

    if by_torch:
        torch.save({"model_state_dict": nn.Linear(2, 2).state_dict()}, path)
    else:
        save(path, model=nn.Linear(2, 2))
    model = Draws(2, 3)
    before = torch.get_rng_state()
    with pytest.raises(MismatchError):
        restore(path, random_state=random_state, model=model)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_second_interrupt_does_not_stop_the_rollback(path):
    class Interrupts(nn.Linear):
        left = 2

        def load_state_dict(self, state_dict, strict=True):
            Interrupts.left -= 1
            if Interrupts.left == 0:  # the second time, before the old state is back
                raise KeyboardInterrupt
            super().load_state_dict(state_dict, strict)
            if Interrupts.left == 1:
                raise KeyboardInterrupt

    save(path, first=net(), model=nn.Linear(2, 2))
    parts = {"first": net(), "model": Interrupts(2, 2)}
    before = bits(parts)
    with pytest.raises(KeyboardInterrupt):
        restore(path, **parts)
    assert bits(parts) == before

"""A background save stores what a foreground save stores: the state at the moment of the call."""

import random
import sys
import threading

import numpy
import pytest
import torch
from torch import nn
from torch.testing._internal.two_tensor import TwoTensor

from helpers.checkpoint import Checkpoints, SaveError, load, restore
from parts import Tied, Wrapped, bits, net, training

pytestmark = pytest.mark.filterwarnings(
    "ignore:.*Sparse CSR", "ignore:.*prototype", "ignore:.*quantize", "ignore:TypedStorage"
)


@pytest.fixture
def fair_threads():
    """No thread gets far while another one waits."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


# ---- what is stored -----------------------------------------------------------------------------


def with_attributes(tensor):
    tensor.scale, tensor.names_of_classes = torch.ones(2), ["cat", "dog"]
    return tensor


TENSORS = {
    "empty": lambda: torch.ones(0),
    "scalar": lambda: torch.tensor(3, dtype=torch.int8),
    "bool": lambda: torch.tensor([True, False]),
    "bfloat16": lambda: torch.linspace(0, 1, 5, dtype=torch.bfloat16),
    "float8": lambda: torch.linspace(0, 1, 5).to(torch.float8_e4m3fn),
    "transposed": lambda: torch.arange(6).view(2, 3).T,
    "expanded": lambda: torch.ones(1).expand(2, 3),
    "conjugate": lambda: torch.tensor([1 + 2j, 3 - 4j]).conj(),
    "negated": lambda: torch.tensor([1 + 2j, 3 - 4j]).conj().imag,
    "sparse": lambda: torch.eye(3).to_sparse(),
    "compressed": lambda: torch.eye(3).to_sparse_csr(),
    "quantized": lambda: torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.quint8),
    "per channel": lambda: torch.quantize_per_channel(
        torch.ones(2, 3), torch.tensor([0.1, 0.2]), torch.tensor([0, 1]), 0, torch.qint8
    ),
    "nested": lambda: torch.nested.nested_tensor([torch.ones(2), torch.ones(3)]),
    "jagged": lambda: torch.nested.nested_tensor(
        [torch.ones(2), torch.ones(3)], layout=torch.jagged
    ),
    "parameter": lambda: nn.Parameter(torch.ones(2)),
    "frozen parameter": lambda: nn.Parameter(torch.ones(2), requires_grad=False),
    "buffer": lambda: nn.Buffer(torch.ones(2)),
    "trainable": lambda: torch.ones(2, requires_grad=True),
    "computed": lambda: torch.ones(2, requires_grad=True) * 3,
    "with attributes": lambda: with_attributes(torch.ones(2)),
    "parameter with attributes": lambda: with_attributes(nn.Parameter(torch.ones(2))),
}


def description(tensor):
    """All that a file stores of a tensor. Two of them can be compared with ``==``."""
    if tensor.is_nested:
        values = [one.tolist() for one in tensor.unbind()]
    elif tensor.is_quantized:
        values = tensor.int_repr().tolist(), tensor.qscheme(), tensor.dequantize().tolist()
    else:
        values = tensor.to_dense().tolist(), tensor.shape
    attributes = {
        key: value.tolist() if isinstance(value, torch.Tensor) else value
        for key, value in vars(tensor).items()
        if not key.startswith("_")  # those of a jagged tensor
    }
    return type(tensor), tensor.dtype, tensor.requires_grad, tensor.layout, values, attributes


@pytest.mark.parametrize("name", TENSORS)
def test_a_tensor_is_stored_as_by_a_foreground_save(name, tmp_path):
    tensor, loaded = TENSORS[name](), []
    for background in (False, True):
        with Checkpoints(tmp_path / f"{background}", background=background) as checkpoints:
            path = checkpoints.save(1, value=tensor, held=[{"in": tensor}])
        loaded.append(load(path))
    foreground, in_background = loaded
    assert description(in_background["value"]) == description(foreground["value"])
    assert description(in_background["held"][0]["in"]) == description(foreground["value"])
    if name in ("transposed", "expanded"):
        assert in_background["value"].stride() == tensor.stride()
    if name != "computed":  # of which torch stores no graph
        assert description(foreground["value"]) == description(tensor)


def test_values_of_every_kind_are_stored(tmp_path):
    plain = [
        None,
        True,
        1 + 2j,
        b"x",
        {"a": (1, {2})},
        float("inf"),
        torch.float16,
        torch.Size([2]),
    ]
    for background in (False, True):
        with Checkpoints(tmp_path / f"{background}", background=background) as checkpoints:
            path = checkpoints.save(1, plain=plain)
        assert load(path)["plain"] == plain


def test_tensors_that_share_memory_share_it_in_the_file(tmp_path):
    whole = torch.arange(100_000)
    with Checkpoints(tmp_path, background=True) as checkpoints:
        path = checkpoints.save(1, model=Tied(), flat=whole, views=[whole[:10], whole[99_990:]])
    loaded = load(path)
    state = loaded["model_state_dict"]
    assert state["first.weight"].data_ptr() == state["last.weight"].data_ptr()
    loaded["flat"].fill_(-1)
    assert all((view == -1).all() for view in loaded["views"])
    assert path.stat().st_size < 900_000  # and not three times as large


def test_the_metadata_of_a_state_dict_is_stored(tmp_path):
    model = nn.Sequential(nn.BatchNorm1d(3))
    with Checkpoints(tmp_path, background=True) as checkpoints:
        path = checkpoints.save(1, model=model)
    assert load(path)["model_state_dict"]._metadata == model.state_dict()._metadata


def test_the_default_device_is_not_used(tmp_path):
    # As after torch.set_default_device("cuda"). Meta is the other device that every machine has.
    weight = torch.ones(3, dtype=torch.bfloat16)
    with torch.device("meta"), Checkpoints(tmp_path, background=True) as checkpoints:
        path = checkpoints.save(1, weight=weight)
    assert torch.equal(load(path)["weight"], weight)


# ---- the moment of the call ---------------------------------------------------------------------


def test_what_is_saved_is_the_state_at_the_moment_of_the_call(tmp_path, fair_threads):
    saved = training()
    counts, names, raw, whole = [1], {"a"}, bytearray(b"a"), torch.zeros(1 << 20)
    slow, before = [0.5] * 20_000, bits(saved)  # slow to write, so that the others come late
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
    now = training()
    rest = restore(path, **now)
    assert bits(now) == before
    assert (rest["counts"], rest["names"], rest["raw"]) == ([1], {"a"}, b"a")
    assert rest["row"].tolist() == [0, 0, 0]


def overwrite(tensor):
    if tensor.is_sparse:
        tensor._values().zero_()
    elif tensor.layout is torch.sparse_csr:
        tensor.values().zero_()
    elif tensor.is_quantized:
        tensor.copy_(torch.zeros(tensor.shape))
    elif tensor.is_nested:
        tensor.mul_(0)
    else:
        tensor.zero_()


@pytest.mark.parametrize("name", [name for name in TENSORS if name not in ("empty", "expanded")])
def test_a_tensor_that_is_overwritten_afterwards_is_stored_as_it_was(name, tmp_path):
    tensor = TENSORS[name]().detach()
    before = description(tensor)
    with Checkpoints(tmp_path, background=True) as checkpoints:
        path = checkpoints.save(1, slow=[0.5] * 20_000, tensor=tensor)
        overwrite(tensor)
    assert description(tensor) != before
    assert description(load(path)["tensor"]) == before


# ---- errors -------------------------------------------------------------------------------------


def fails(folder):
    """Checkpoints of which one could not be saved in the background."""
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
    assert load(tmp_path)["v"] == 1


def test_an_error_of_one_save_does_not_keep_the_next_from_being_saved(tmp_path):
    checkpoints = fails(tmp_path)
    with pytest.raises(SaveError, match="step-00000002.pt"):
        checkpoints.save(3, v=3)
    checkpoints.close()
    assert load(tmp_path / "step-00000003.pt")["v"] == 3


def test_an_error_is_not_lost_if_the_next_copy_fails(tmp_path):
    checkpoints = fails(tmp_path)
    with pytest.raises(TypeError, match="pickle"):
        checkpoints.save(3, lock=threading.Lock())
    with pytest.raises(SaveError, match="step-00000002.pt"):
        checkpoints.close()


def test_errors_of_both_are_raised_one_after_the_other(tmp_path):
    checkpoints = fails(tmp_path)
    with pytest.raises(SaveError, match="step-00000002.pt"):
        checkpoints.save(3, v=object())
    with pytest.raises(SaveError, match=r"step-00000003.pt.*\['v'\] is of <class 'object'>"):
        checkpoints.close()
    checkpoints.close()
    assert load(tmp_path)["v"] == 1


def test_a_block_that_fails_waits_and_keeps_its_own_error(tmp_path):
    with pytest.raises(ZeroDivisionError), Checkpoints(tmp_path, background=True) as checkpoints:
        checkpoints.save(1, weight=torch.ones(1 << 20))
        1 / 0  # noqa: B018
    assert (load(tmp_path)["weight"] == 1).all()


def test_restore_waits_for_the_save_before(tmp_path):
    with Checkpoints(tmp_path, background=True) as checkpoints:
        checkpoints.save(1, weight=torch.ones(1 << 20), step=1)
        assert checkpoints.restore()["step"] == 1


def test_after_close_it_can_save_again(tmp_path):
    with Checkpoints(tmp_path, background=True) as checkpoints:
        checkpoints.save(1, v=1)
    checkpoints.save(2, v=2)
    checkpoints.close()
    assert checkpoints.restore() == {"v": 2}


def test_tensors_without_a_storage_are_stored_as_by_a_foreground_save(tmp_path):
    torch.serialization.add_safe_globals([TwoTensor])
    model, empty = Wrapped(net(), 2.0), torch.ones(2, device="meta")
    for background in (False, True):
        with Checkpoints(tmp_path / f"{background}", background=background) as checkpoints:
            path = checkpoints.save(1, model=model, empty=empty)
        loaded = load(path)
        assert loaded["empty"].is_meta and loaded["empty"].shape == (2,)
        assert {p.a.unique().item() for p in loaded["model_state_dict"].values()} == {2.0}

import pytest
import torch

from helpers.devices import save_from


@pytest.fixture
def state():
    return {"weight": torch.arange(6.0).view(2, 3), "bias": torch.tensor([1.0, 2.0])}


def tags(path):
    """The devices that the file records for its storages."""
    found = []
    torch.load(path, map_location=lambda storage, location: found.append(location) or storage)
    return found


def test_the_file_says_that_its_tensors_were_on_the_device(state, tmp_path):
    save_from("cuda:0", state, tmp_path / "gpu.pt")
    assert tags(tmp_path / "gpu.pt") == ["cuda:0", "cuda:0"]


def test_each_key_may_have_its_own_device(state, tmp_path):
    save_from({"weight": "cuda:1", "bias": "cpu"}, state, tmp_path / "mixed.pt")
    assert tags(tmp_path / "mixed.pt") == ["cuda:1", "cpu"]


def test_tensors_that_share_a_storage_are_tagged_once(state, tmp_path):
    save_from("cuda:0", state | {"tied": state["weight"]}, tmp_path / "tied.pt")
    assert tags(tmp_path / "tied.pt") == ["cuda:0", "cuda:0"]


def test_the_values_survive(state, tmp_path):
    save_from("cuda:0", state, str(tmp_path / "gpu.pt"))
    loaded = torch.load(tmp_path / "gpu.pt", map_location="cpu")
    assert list(loaded) == list(state)
    assert all(torch.equal(loaded[key], state[key]) for key in state)


@pytest.mark.skipif(torch.accelerator.is_available(), reason="needs a machine without a GPU")
def test_without_the_device_a_plain_load_raises_torchs_own_error(state, tmp_path):
    save_from("cuda:0", state, tmp_path / "gpu.pt")
    with pytest.raises(RuntimeError, match="Attempting to deserialize object on a CUDA device"):
        torch.load(tmp_path / "gpu.pt")


def test_afterwards_nothing_is_tagged(state, tmp_path):
    save_from("cuda:0", state, tmp_path / "gpu.pt")
    torch.save(state, tmp_path / "cpu.pt")
    assert tags(tmp_path / "cpu.pt") == ["cpu", "cpu"]


def test_after_a_failed_save_nothing_is_tagged(state, tmp_path):
    with pytest.raises(RuntimeError, match="does not exist"):
        save_from("cuda:0", state, tmp_path / "nowhere" / "gpu.pt")
    torch.save(state, tmp_path / "cpu.pt")
    assert tags(tmp_path / "cpu.pt") == ["cpu", "cpu"]


def test_after_a_key_without_a_device_nothing_is_tagged(state, tmp_path):
    with pytest.raises(KeyError, match="bias"):
        save_from({"weight": "cuda:0"}, state, tmp_path / "gpu.pt")
    torch.save(state, tmp_path / "cpu.pt")
    assert tags(tmp_path / "cpu.pt") == ["cpu", "cpu"]

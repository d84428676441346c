"""look_inside names the library that wrote a checkpoint, and its lines load what the library loads.

The libraries are real, their models are tiny and random, and no host is contacted.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

os.environ["HF_HUB_OFFLINE"] = "1"  # before the imports

import torch
from accelerate import Accelerator
from peft import AutoPeftModelForCausalLM, LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file
from test_inspection import lines_of
from torch import nn
from transformers import LlamaConfig, LlamaForCausalLM, Trainer, TrainingArguments

from helpers.inspection import look_inside

SIZES = {"vocab_size": 20, "hidden_size": 8, "intermediate_size": 16, "num_hidden_layers": 2}
SIZES |= {"num_attention_heads": 2, "num_key_value_heads": 2}
WORDS = torch.arange(6)[None]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with a checkpoint of each library."""
    folder = tmp_path_factory.mktemp("libraries")
    torch.manual_seed(0)
    llama = LlamaForCausalLM(LlamaConfig(**SIZES, tie_word_embeddings=True))
    llama.save_pretrained(folder / "llama")
    llama.save_pretrained(folder / "sharded", max_shard_size="2KB")
    # As in a script that loads the base by its name.
    base = LlamaForCausalLM.from_pretrained(folder / "llama")
    adapted = get_peft_model(base, LoraConfig(task_type="CAUSAL_LM", target_modules=["q_proj"]))
    for name, tensor in adapted.named_parameters():
        if "lora_B" in name:
            nn.init.normal_(tensor)
    adapted.save_pretrained(folder / "adapter")
    plain = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    get_peft_model(plain, LoraConfig(target_modules=["0"])).save_pretrained(folder / "plain")
    rows = [{"input_ids": WORDS[0], "labels": WORDS[0]}] * 2
    options = {"use_cpu": True, "report_to": "none", "disable_tqdm": True, "save_steps": 2}
    Trainer(
        llama, TrainingArguments(str(folder / "runs"), max_steps=10, **options), train_dataset=rows
    ).train()
    options["max_steps"] = 2
    Trainer(
        adapted, TrainingArguments(str(folder / "tuned"), **options), train_dataset=rows
    ).train()
    accelerate(folder)
    return folder


def accelerate(folder):
    for name, count in (("one", 1), ("two", 2)):
        accelerator = Accelerator(cpu=True)
        for _ in range(count):
            model = nn.Linear(2, 2)
            optimizer = torch.optim.AdamW(model.parameters())
            model, optimizer = accelerator.prepare(model, optimizer)
            accelerator.backward(model(torch.ones(1, 2)).sum())
            optimizer.step()
        scheduler = accelerator.prepare(torch.optim.lr_scheduler.StepLR(optimizer, 1))
        scheduler.step()
        accelerator.save_state(str(folder / name))


def equal(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("name", ["llama", "sharded"])
def test_a_folder_of_transformers_is_loaded_by_its_class(made, name):
    report = look_inside(made / name)
    assert report.kind == "a folder of transformers" and report.loads
    expected = LlamaForCausalLM.from_pretrained(made / name)
    assert equal(lines_of(report)["model"].state_dict(), expected.state_dict())


def test_code_in_a_folder_of_transformers_is_named_and_not_run(made, tmp_path):
    shutil.copytree(made / "llama", tmp_path / "llama")
    config = json.loads((tmp_path / "llama/config.json").read_text())
    config["auto_map"] = {"AutoModelForCausalLM": "modeling.Mine"}
    (tmp_path / "llama/config.json").write_text(json.dumps(config))
    report = look_inside(tmp_path / "llama")
    assert "config.json names code of its author" in str(report)
    assert equal(lines_of(report)["state"], load_file(made / "llama/model.safetensors"))


@pytest.mark.parametrize("config", ["[]", "{", '{"architectures": ["A"]}', '{"model_type": "a"}'])
def test_another_configuration_changes_nothing(made, tmp_path, config):
    shutil.copy(made / "llama/model.safetensors", tmp_path)
    (tmp_path / "config.json").write_text(config)
    assert "load_file" in str(look_inside(tmp_path))


def test_the_states_of_the_trainer_are_loaded_beside_the_weights(made):
    folder = made / "runs/checkpoint-10"
    report = look_inside(folder)
    assert report.kind == "a checkpoint of the Trainer of transformers" and report.loads
    found = lines_of(report)
    expected = LlamaForCausalLM.from_pretrained(folder)
    assert equal(found["model"].state_dict(), expected.state_dict())
    optimizer, scheduler = (
        torch.load(folder / f"{name}.pt") for name in ("optimizer", "scheduler")
    )
    assert equal(found["optimizer_state"]["state"][0], optimizer["state"][0])
    assert found["scheduler_state"] == scheduler
    assert "separately: rng_state.pth, training_args.bin." in " ".join(str(report).split())
    state = lines_of(look_inside(folder / "rng_state.pth"))["state"]
    assert state["cpu"].dtype == torch.uint8


def test_the_newest_checkpoint_in_a_folder_is_found_by_its_number(made):
    report = look_inside(made / "runs")
    assert "checkpoint-10 is a checkpoint of the Trainer" in str(report)  # not checkpoint-8
    assert "model" in lines_of(report)
    os.symlink(made / "runs", made / "runs/checkpoint-99", target_is_directory=True)
    assert "checkpoint-10 is a checkpoint of the Trainer" in str(look_inside(made / "runs"))


def test_an_adapter_that_the_trainer_saved_has_its_states(made):
    report = look_inside(made / "tuned/checkpoint-2")
    found = lines_of(report)
    assert "llama" in report.details[-2] and isinstance(found["model"], PeftModel)
    assert found["optimizer_state"]["param_groups"]


def test_an_adapter_is_loaded_onto_the_base_that_it_names(made):
    report = look_inside(made / "adapter")
    assert report.kind == "a PEFT adapter" and f"Its base model is {made}" in str(report)
    model, expected = (
        lines_of(report)["model"],
        AutoPeftModelForCausalLM.from_pretrained(made / "adapter"),
    )
    with torch.inference_mode():
        assert torch.equal(model(WORDS).logits, expected(WORDS).logits)


def test_an_adapter_without_a_named_base_gives_its_weights(made):
    report = look_inside(made / "plain")
    assert "peft.PeftModel.from_pretrained(base, folder)" in str(report)
    expected = load_file(made / "plain/adapter_model.safetensors")
    assert equal(lines_of(report)["state"], expected)


@pytest.mark.parametrize("change", [Path.unlink, lambda path: os.truncate(path, 100)])
def test_an_adapter_without_its_weights_does_not_load(made, tmp_path, change):
    shutil.copytree(made / "adapter", tmp_path / "adapter")
    change(tmp_path / "adapter/adapter_model.safetensors")
    report = look_inside(tmp_path / "adapter")
    assert report.loads is report.intact is False and not report.lines


def test_every_state_of_accelerate_is_loaded(made):
    report = look_inside(made / "two")
    assert report.kind == "a checkpoint of accelerate" and report.loads
    found = lines_of(report)
    assert equal(found["state"], load_file(made / "two/model.safetensors"))
    assert equal(found["model_1_state"], load_file(made / "two/model_1.safetensors"))
    for name in ("optimizer", "optimizer_1"):
        expected = torch.load(made / f"two/{name}.bin")["state"]
        assert equal(found[f"{name}_state"]["state"][0], expected[0])
    assert found["scheduler_state"] == torch.load(made / "two/scheduler.bin")
    assert "random_states_0.pkl." in report.details[-1]
    states = lines_of(look_inside(made / "two/random_states_0.pkl"))["state"]
    assert states["torch_manual_seed"].dtype == torch.uint8


def test_a_damaged_state_of_accelerate_is_found(made, tmp_path):
    shutil.copytree(made / "one", tmp_path / "one")
    os.truncate(tmp_path / "one/optimizer.bin", 300)
    report = look_inside(tmp_path / "one")
    assert report.loads is report.intact is False and "optimizer.bin is a PyTorch" in str(report)


def test_the_states_of_a_folder_are_not_taken_for_its_weights(tmp_path):
    for name in ("model", "optimizer", "training_args"):
        torch.save({name: torch.ones(2)}, tmp_path / f"{name}.pt")
    assert lines_of(look_inside(tmp_path))["state"].keys() == {"model"}


def test_averaged_weights_of_lightning_are_named(tmp_path):
    state = {"pytorch-lightning_version": "2.6.6", "state_dict": {}, "optimizer_states": []}
    torch.save(state | {"current_model_state": {}}, tmp_path / "ema.ckpt")
    assert "Its state_dict has averaged weights." in str(look_inside(tmp_path / "ema.ckpt"))
    torch.save(state, tmp_path / "run.ckpt")
    assert look_inside(tmp_path / "run.ckpt").details[2:] == []
    del state["optimizer_states"]
    torch.save(state, tmp_path / "weights.ckpt")
    assert "Lightning cannot resume a run from it." in str(look_inside(tmp_path / "weights.ckpt"))


def test_a_library_that_need_not_be_installed_is_named(tmp_path):
    (tmp_path / "detector.py").write_text("from torch import nn\nclass Net(nn.Linear): ...\n")
    code = 'import torch, detector; torch.save({"model": detector.Net(2, 2)}, "detector.pt")'
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)
    report = look_inside(tmp_path / "detector.pt")
    assert report.advice == "Load it without running its code. detector need not be installed:"
    assert lines_of(report)["weights"].keys() == {"weight", "bias"}

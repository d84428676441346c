"""look_inside names the library that wrote a checkpoint, and its lines load what the library loads.

The libraries are real, their models are tiny and random, and no host is contacted.
"""

import json
import os
import shutil
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest

os.environ["HF_HUB_OFFLINE"] = "1"  # before the imports

import torch
import torch.distributed.checkpoint as dcp
from accelerate import Accelerator
from peft import AutoPeftModelForCausalLM, LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from test_inspection import STATE, lines_of
from torch import nn
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    BertForTokenClassification,
    BertModel,
    LlamaConfig,
    LlamaForCausalLM,
    Trainer,
    TrainingArguments,
)

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


STRANGE = ["[]", "[" * 99999 + "]" * 99999, '{"architectures": ["A"]}', '{"model_type": "a"}']
STRANGE += [
    f'{{"model_type": "a", "architectures": {x}}}' for x in ("3", "[]", '["class"]', '["a;b"]')
]


@pytest.mark.parametrize("config", STRANGE, ids=lambda text: text[:50])
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


@pytest.mark.parametrize("change", [{"task_type": ["A"]}, {"base_model_name_or_path": {"a": 1}}])
def test_a_strange_configuration_of_an_adapter_gives_its_weights(made, tmp_path, change):
    shutil.copytree(made / "adapter", tmp_path / "adapter")
    path = tmp_path / "adapter/adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    assert "state" in lines_of(look_inside(tmp_path / "adapter"))


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


def test_a_configuration_that_is_cut_off_is_found(made, tmp_path):
    for source, name in (
        ("llama", "config.json"),
        ("llama", "generation_config.json"),
        ("sharded", "model.safetensors.index.json"),
        ("adapter", "adapter_config.json"),
        ("runs/checkpoint-10", "trainer_state.json"),
    ):
        copy = tmp_path / f"{source.replace('/', '-')}-{name}"
        shutil.copytree(made / source, copy)
        os.truncate(copy / name, 50)
        report = look_inside(copy)
        assert report.loads is report.intact is False and f"{name} is cut off" in str(report)
        os.truncate(copy / name, 0)
        report = look_inside(copy)
        assert not report.intact and f"{name} is empty." in str(report)


OTHER_FORMATS = ['{ // comment\n "a": 1}', "a: 1\n", '{"a": 1,}', '{"a": 1}\n{"a": 2}', "é", "[1]"]


@pytest.mark.parametrize("text", OTHER_FORMATS)
def test_a_configuration_of_another_tool_is_not_damaged(tmp_path, text):
    torch.save(STATE, tmp_path / "model.pt")
    for name in ("config.json", "docs.index.json"):
        (tmp_path / name).write_text(text, encoding="latin-1")
    assert lines_of(look_inside(tmp_path))["state"].keys() == STATE.keys()


def test_a_part_that_was_not_checked_makes_the_whole_uncertain(tmp_path):
    torch.save({"w": torch.ones(10)}, tmp_path / "pytorch_model.bin")
    torch.save({}, tmp_path / "random_states_0.pkl")
    torch.save({"state": torch.ones(70_000_000)}, tmp_path / "optimizer.bin")
    with open(tmp_path / "optimizer.bin", "r+b") as file:
        file.seek(270_000_000)
        file.write(b"\xff" * 64)
    report = look_inside(tmp_path)
    assert report.intact is None and "Not all of it was checked: optimizer.bin." in str(report)
    assert look_inside(tmp_path, full=True).intact is False


@pytest.mark.parametrize("name", ["model.safetensors", "optimizer.bin"])
def test_a_lost_part_of_accelerate_is_missed(made, tmp_path, name):
    shutil.copytree(made / "two", tmp_path / "two")
    (tmp_path / "two" / name).unlink()
    report = look_inside(tmp_path / "two")
    assert report.loads is report.intact is False
    assert f"These are missing: {name.partition('.')[0]}." in str(report)


def test_a_shard_without_its_tensors_is_found(made, tmp_path):
    shutil.copytree(made / "sharded", tmp_path / "sharded")
    one, two = sorted((tmp_path / "sharded").glob("*-0000[12]-*"))
    shutil.copy(one, two)
    report = look_inside(tmp_path / "sharded")
    assert report.loads is report.intact is False and "not where its index says" in str(report)


def test_what_does_not_belong_to_the_weights_does_not_make_them_damaged(made, tmp_path):
    folder = tmp_path / "sharded"
    shutil.copytree(made / "sharded", folder)
    expected = LlamaForCausalLM.from_pretrained(folder).state_dict()
    one = min(folder.glob("*-00001-*"))
    shutil.copy(one, folder / "model-00001-of-00002.safetensors")  # of an older save
    index = {"weight_map": {"w": "pytorch_model-00001-of-00002.bin"}}  # of a format not downloaded
    (folder / "pytorch_model.bin.index.json").write_text(json.dumps(index))
    (folder / "search.index.json").write_text('{"docs": [1]}')
    assert equal(lines_of(look_inside(folder))["model"].state_dict(), expected)
    shutil.copy(made / "llama/model.safetensors", folder)  # which transformers prefers
    assert equal(lines_of(look_inside(folder))["model"].state_dict(), expected)
    os.truncate(folder / "model.safetensors", 999)
    assert look_inside(folder).intact is False


def test_shards_may_have_any_numbers_if_an_index_names_them(tmp_path):
    weight_map = {}
    for n in range(2):
        name = f"model-0000{n}-of-00002.safetensors"
        save_file({f"w{n}": torch.ones(n + 1)}, tmp_path / name)
        weight_map[f"w{n}"] = name
    index = {"weight_map": weight_map}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    assert lines_of(look_inside(tmp_path))["state"].keys() == weight_map.keys()


def test_the_weights_in_a_folder_of_the_checkpoint_are_found_again(tmp_path):
    dcp.save({"model": {"a": torch.ones(3)}}, checkpoint_id=tmp_path / "pytorch_model_fsdp_0")
    dcp.save({"optimizer": {"a": torch.ones(3)}}, checkpoint_id=tmp_path / "optimizer_0")
    (tmp_path / "trainer_state.json").write_text("{}")
    assert "state" in lines_of(look_inside(tmp_path))
    report = look_inside(tmp_path)  # the lines have written a file
    assert "pytorch_model_fsdp_0 is a distributed checkpoint" in str(report)
    assert "separately: optimizer_0." in str(report)
    for path in (tmp_path / "pytorch_model_fsdp_0").glob("*.distcp"):
        os.truncate(path, 10)
    assert look_inside(tmp_path).intact is False


def test_links_take_no_time(tmp_path):
    for i in range(30):
        folder = tmp_path / f"d{i}"
        folder.mkdir()
        torch.save(STATE, folder / "model.pt")
        (folder / "trainer_state.json").write_text("{}")
        for name in ("optimizer.pt", "scheduler.pt", "last"):
            os.symlink(f"../d{i + 1}", folder / name, target_is_directory=True)
    started = time.monotonic()
    assert look_inside(tmp_path / "d0").loads
    os.symlink(".", tmp_path / "model.pt", target_is_directory=True)
    assert not look_inside(tmp_path).loads
    assert time.monotonic() - started < 30


def test_many_states_are_not_all_looked_at(made, tmp_path):
    shutil.copytree(made / "one", tmp_path / "one")
    for n in range(1, 300):
        shutil.copy(made / "one/random_states_0.pkl", tmp_path / f"one/random_states_{n}.pkl")
    report = look_inside(tmp_path / "one")
    assert report.loads and report.intact is None and len(str(report).splitlines()) <= 40


def test_the_lines_of_many_models_fit_on_one_screen(tmp_path):
    accelerator = Accelerator(cpu=True)
    accelerator.prepare(*[nn.Linear(2, 2) for _ in range(40)])
    accelerator.save_state(str(tmp_path / "many"))
    report = look_inside(tmp_path / "many")
    assert "model_3_state" in lines_of(report) and "separately: model_14.safetensors" in str(report)


class Command:
    def __reduce__(self):
        return os.system, ("echo executed",)


def test_a_state_that_runs_commands_is_not_to_be_loaded(made, tmp_path):
    shutil.copytree(made / "runs/checkpoint-10", tmp_path / "run")
    torch.save(Command(), tmp_path / "run/optimizer.pt")
    report = look_inside(tmp_path / "run")
    assert report.advice.startswith("Do not load it.") and not report.lines and not report.loads
    assert "optimizer.pt: It calls" in str(report)


def test_the_class_is_named_only_if_transformers_can_load_the_file(made, tmp_path):
    for name in ("model.fp16.safetensors", "x.safetensors"):
        folder = tmp_path / name
        shutil.copytree(made / "llama", folder)
        (folder / "model.safetensors").rename(folder / name)
        assert equal(lines_of(look_inside(folder))["state"], load_file(folder / name))
    weights = load_file(made / "llama/model.safetensors")
    wrapped = {f"module.{key}": tensor for key, tensor in weights.items()}
    save_file(wrapped, tmp_path / "x.safetensors/model.safetensors")
    assert equal(lines_of(look_inside(tmp_path / "x.safetensors"))["state"], wrapped)


class MyLlama(LlamaForCausalLM): ...


OTHERS = [MyLlama, "pipeline", "__name__", "LlamaConfig", "LlamaForMultiLabelClassification"]


@pytest.mark.parametrize("kind", OTHERS)
def test_a_class_of_the_author_is_not_looked_for_in_transformers(made, tmp_path, kind):
    model = LlamaForCausalLM.from_pretrained(made / "llama")
    model.save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    config["architectures"] = [kind if isinstance(kind, str) else kind.__name__]
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert "state" in lines_of(look_inside(tmp_path))


@pytest.mark.parametrize("task", ["SEQ_CLS", "TOKEN_CLS"])
def test_an_adapter_of_a_classifier_has_its_number_of_labels(tmp_path, task):
    sizes = {"vocab_size": 20, "hidden_size": 8, "intermediate_size": 16, "num_hidden_layers": 1}
    BertModel(BertConfig(**sizes, num_attention_heads=2)).save_pretrained(tmp_path / "base")
    kinds = {"SEQ_CLS": BertForSequenceClassification, "TOKEN_CLS": BertForTokenClassification}
    model = kinds[task].from_pretrained(tmp_path / "base", num_labels=5)
    config = LoraConfig(task_type=task, target_modules=["query"])
    adapted = get_peft_model(model, config).eval()
    adapted.save_pretrained(tmp_path / "adapter")
    loaded = lines_of(look_inside(tmp_path / "adapter"))["model"].eval()
    assert torch.equal(loaded(WORDS).logits, adapted(WORDS).logits)


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux")
@pytest.mark.parametrize("source", ["llama", "sharded", "adapter"])
def test_a_folder_whose_name_is_not_utf_8_is_to_be_renamed(made, tmp_path, monkeypatch, source):
    monkeypatch.chdir(tmp_path)
    folder = os.fsdecode(b"x\xff")
    shutil.copytree(made / source, folder)
    report = look_inside(folder)
    assert report.intact is not False and report.advice.startswith("Rename it")
    lines_of(report)
    (renamed,) = Path().iterdir()
    assert look_inside(renamed).loads
    renamed.rename(folder)
    file = next(Path(folder).glob("*.safetensors"))
    assert look_inside(file).advice.startswith("Rename its folder")


def test_files_of_one_time_are_ordered_by_their_numbers(tmp_path):
    for n in range(1, 11):
        torch.save({f"w{n}": torch.ones(1)}, tmp_path / f"model_{n}.pt")
        os.utime(tmp_path / f"model_{n}.pt", (1, 1))
    assert "w10" in lines_of(look_inside(tmp_path))["state"]


def test_a_checkpoint_without_weights_leads_to_the_one_before(made, tmp_path):
    shutil.copytree(made / "runs/checkpoint-8", tmp_path / "checkpoint-8")
    (tmp_path / "checkpoint-10").mkdir()
    report = look_inside(tmp_path)
    assert "checkpoint-10 is a folder without weights." in str(report)
    assert "model" in lines_of(report)


def test_a_name_with_a_line_break_is_one_name(tmp_path):
    torch.save(STATE, tmp_path / "model.pt")
    (tmp_path / "x\nadapter_config.json").write_text("{}")
    assert lines_of(look_inside(tmp_path))["state"].keys() == STATE.keys()


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "net."])
def test_weights_with_a_prefix_are_not_given_to_transformers(made, tmp_path, prefix):
    shutil.copytree(made / "llama", tmp_path / "llama")
    path = tmp_path / "llama/model.safetensors"
    wrapped = {prefix + name: tensor for name, tensor in load_file(path).items()}
    save_file(wrapped, path)
    assert equal(lines_of(look_inside(tmp_path / "llama"))["state"], wrapped)


def test_a_file_of_torch_under_the_name_of_safetensors_is_loaded(made, tmp_path):
    shutil.copytree(made / "llama", tmp_path / "llama")
    torch.save(STATE, tmp_path / "llama/model.safetensors")
    assert lines_of(look_inside(tmp_path / "llama"))["state"].keys() == STATE.keys()
    shutil.copytree(made / "sharded", tmp_path / "sharded")
    torch.save(STATE, min((tmp_path / "sharded").glob("*-00001-*")))
    assert "Reading it failed" not in str(look_inside(tmp_path / "sharded"))


@pytest.mark.parametrize("weights", ["pytorch_adapter.bin", "adapters.safetensors"])
def test_an_adapter_of_another_library_is_not_one_of_peft(tmp_path, weights):
    (tmp_path / "adapter_config.json").write_text('{"rank": 8}')
    save = save_file if weights.endswith("safetensors") else torch.save
    save(STATE, tmp_path / weights)
    report = look_inside(tmp_path)
    assert report.kind == "a folder" and equal(lines_of(report)["state"], STATE)


@pytest.mark.parametrize(
    ("chosen", "others"),
    {
        "model.safetensors": ["ema_model.safetensors"],
        "pytorch_model.bin": ["openvino_model.bin", "training_args.bin"],
        "model.pt": ["optim.pt", "labels.pt", "optimizer_epoch_3.pt", "predictions.npz"],
    }.items(),
)
def test_the_weights_are_found_among_other_files(tmp_path, chosen, others):
    for name in [chosen, *others]:
        state = {name: torch.ones(1)}
        save = save_file if name.endswith("safetensors") else torch.save
        save(state, tmp_path / name)
    report = look_inside(tmp_path)
    assert lines_of(report)["state"].keys() == {chosen}
    if "model" in others[0]:
        assert f"Not looked at: {others[0]}" in str(report)


def test_a_whole_file_counts_more_than_an_old_index(tmp_path):
    torch.save(STATE, tmp_path / "pytorch_model.bin")
    index = {"weight_map": {"w": "pytorch_model-00001-of-00002.bin"}}
    (tmp_path / "pytorch_model.bin.index.json").write_text(json.dumps(index))
    assert equal(lines_of(look_inside(tmp_path))["state"], STATE)


def test_a_shard_that_was_copied_over_another_is_found_without_an_index(made, tmp_path):
    shutil.copytree(made / "sharded", tmp_path / "sharded")
    (tmp_path / "sharded/model.safetensors.index.json").unlink()
    assert look_inside(tmp_path / "sharded").loads
    one, two = sorted((tmp_path / "sharded").glob("*-0000[12]-*"))
    shutil.copy(one, two)
    report = look_inside(tmp_path / "sharded")
    assert report.loads is report.intact is False and "has a tensor of another file" in str(report)


@pytest.mark.parametrize(
    ("chosen", "other"),
    {
        "epoch_3.5": "epoch_2",
        "final": "checkpoint-500",
        "epoch-3-step-100": "epoch-3-step-20",
        "last-checkpoint": "checkpoint_1",
        "best_model": "logs",
    }.items(),
)
def test_the_last_of_several_checkpoints_is_found(tmp_path, chosen, other):
    for name in (chosen, other):
        (tmp_path / name).mkdir()
        torch.save({name: torch.ones(1)}, tmp_path / name / "model.pt")
    assert lines_of(look_inside(tmp_path))["state"].keys() == {chosen}


@pytest.mark.parametrize("lost", ["optimizer.bin", "random_states_1.pkl"])
def test_a_lost_state_is_missed(made, tmp_path, lost):
    folder = tmp_path / "one"
    shutil.copytree(made / "two" if lost == "optimizer.bin" else made / "one", folder)
    for n in (1, 2):
        shutil.copy(folder / "random_states_0.pkl", folder / f"random_states_{n}.pkl")
    assert look_inside(folder).loads
    (folder / lost).unlink()
    report = look_inside(folder)
    assert report.loads is report.intact is False
    assert f"These are missing: {lost.partition('.')[0]}." in str(report)


def test_a_checkpoint_without_its_weights_says_so(made, tmp_path):
    shutil.copytree(made / "runs/checkpoint-10", tmp_path / "run")
    (tmp_path / "run/model.safetensors").unlink()
    assert "Its weights are not here." in str(look_inside(tmp_path / "run"))


@pytest.mark.parametrize("path", [".", ".."])
def test_the_lines_never_write_into_what_they_read(tmp_path, monkeypatch, path):
    torch.save(STATE, tmp_path / "x.pt")
    with zipfile.ZipFile(tmp_path / "x.pt") as archive:
        archive.extractall(tmp_path / "in")
    monkeypatch.chdir(tmp_path / "in/x" / ("data" if path == ".." else ""))
    before = set((tmp_path / "in/x").rglob("*"))
    assert equal(lines_of(look_inside(path))["state"], STATE)
    assert set((tmp_path / "in/x").rglob("*")) == before

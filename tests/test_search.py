"""Pasting an error finds the entry with its fix, and an unrelated error finds nothing.

``reports/errors.json`` contains errors as people pasted them, each with what fixed it and with the
cells of the entries that say so. ``reports/unrelated.json`` contains errors that have nothing to do
with saving and loading, and that no cell shows.
"""

import json
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from course import NOTEBOOKS, ROOT
from helpers import errors

REPORTS = Path(__file__).with_name("reports")
ENTRIES = [entry for page in errors.PAGES for entry in errors.read(page)]
INDEX = errors.Index(ENTRIES)


def load(name):
    return json.loads((REPORTS / name).read_text(encoding="utf-8"))


def cell(entry):
    """The id of the cell that an entry links to."""
    return re.search(r"\*\*Shown in\*\* \[.+?#cell-id=([\w-]+)\)", entry.source)[1]


def found(text):
    return [cell(entry) for entry in INDEX.search(text)[0]]


def first(text):
    """The first line of the best entry, or None."""
    entries, fits = INDEX.search(text)
    return entries[0].texts[-1] if entries and fits else None


def share(results):
    return sum(results) / len(results)


def test_the_reports_lead_to_their_fix():
    reports = load("errors.json")
    at_first = [found(report["text"])[:1] for report in reports]
    among_five = [found(report["text"]) for report in reports]
    wanted = [set(report["cells"]) for report in reports]
    firsts = [bool(want & set(got)) for want, got in zip(wanted, at_first, strict=True)]
    fives = [bool(want & set(got)) for want, got in zip(wanted, among_five, strict=True)]
    missed = [r["id"] for r, five in zip(reports, fives, strict=True) if not five]
    assert sum(fives[:40]) >= 38, missed
    assert share(fives) >= 0.95, missed
    assert share(firsts) >= 0.9


def test_at_most_one_of_thirty_unrelated_errors_finds_anything():
    unrelated = load("unrelated.json")
    wrong = [error["id"] for error in unrelated if found(error["text"])]
    assert len(wrong) <= len(unrelated) / 30, wrong


# The course's own errors. SaveError and others are raised by its helpers, which say what to do.
HELPERS = {"SaveError", "CorruptError", "MismatchError", "ScriptError", "NameError"}


def plain(text):
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


def renamed(text):
    """The text as another program would print it, with other names, paths and numbers."""
    text = re.sub(r"\b(LeNet|Net|Local|Config|Classifier|Language|Positions)\b", "UNetLarge", text)
    text = re.sub(r"\b(conv|fc|net|layer|embed)\d?(?=\.(?:weight|bias))", "encoder.block3", text)
    folder = "/home/ada/projects/digit_classifier/experiments/2026_05_run_17/checkpoints/"
    text = re.sub(r"'[^'/]*(\.(?:pt|pth|tar|safetensors|pkl))'", rf"'{folder}best\1'", text)
    return re.sub(r"(?<=\[)\d+(?=[,\]])|(?<=, )\d+(?=[,\]])", "1729", text)


def own_errors():
    """The errors in which cells end: each in five forms, with the entries that quote it."""
    for path in NOTEBOOKS:
        for made in nbformat.read(path, as_version=4).cells:
            for output in made.get("outputs", []):
                if output.output_type == "error" and output.ename not in HELPERS:
                    message = plain(f"{output.ename}: {output.evalue}")
                    quoted = [e for e in ENTRIES if quotes(e, message) or cell(e) == made.id]
                    lines = [line for line in message.splitlines() if line.strip()]
                    last = [line for line in lines if not line.startswith("Check the doc")][-1]
                    whole = plain("\n".join(output.traceback))
                    forms = whole, message, last, renamed(whole), renamed(last)
                    yield {cell(entry) for entry in quoted}, forms


def quotes(entry, message):
    """Whether an entry begins with lines of this message."""
    for line in entry.texts:
        if not entry.source.startswith("```") or line not in message:
            return False
        message = message.partition(line)[2]
    return True


def test_the_courses_own_errors_are_found_whole_by_a_line_and_with_other_names():
    firsts, fives = [], []
    for cells, forms in own_errors():
        for form in forms if cells else ():
            entries = found(form)
            firsts.append(bool(cells & set(entries[:1])))
            fives.append(bool(cells & set(entries)))
    assert len(fives) > 450
    assert share(fives) >= 0.98
    assert share(firsts) >= 0.97


# What torch prints around each error of the reader that `weights_only=True` uses.
AROUND = """UnpicklingError: Weights only load failed. In PyTorch 2.6, we changed the default value of the `weights_only` argument in `torch.load` from `False` to `True`. Re-running `torch.load` with `weights_only` set to `False` will likely succeed, but it can result in arbitrary code execution. Do it only if you got the file from a trusted source.
Please file an issue with the following so that we can make `weights_only=True` compatible with your use case: WeightsUnpickler error: %s

Check the documentation of torch.load to learn more about types accepted by default with weights_only https://pytorch.org/docs/stable/generated/torch.load.html."""  # noqa: E501
REFUSED = (
    "Unsupported global: GLOBAL {0} was not an allowed global by default. Please use "
    "`torch.serialization.add_safe_globals([{0}])` or the `torch.serialization.safe_globals([{0}])`"
    " context manager to allowlist this global if you trust this class/function."
)


@pytest.mark.parametrize(
    ("says", "cause"),
    [
        ("Unsupported operand 118", "Git LFS pointer"),
        ("Unsupported operand 60", "web page"),
        ("Unsupported operand 149", "pickle of protocol 4 or 5"),
        ("Unsupported operand 123", "not a checkpoint"),
        ("Unsupported operand 201", "not a checkpoint"),  # listed nowhere
        (REFUSED.format("exec"), "call of `exec`"),
        (REFUSED.format("numpy._core.multiarray.scalar"), "NumPy scalar"),
        (REFUSED.format("numpy.core.multiarray._reconstruct"), "NumPy array"),
        (REFUSED.format("argparse.Namespace"), "name after `GLOBAL`"),
        (REFUSED.format("omegaconf.dictconfig.DictConfig"), "config of OmegaConf"),
        (REFUSED.format("my_project.engine.RunState"), "name after `GLOBAL`"),
    ],
)
def test_what_torch_prints_around_an_error_does_not_decide(says, cause):
    entries, fits = INDEX.search(AROUND % says)
    assert fits and cause in entries[0].rest
    assert INDEX.search(says)[0][0] == entries[0]


def test_a_name_that_is_not_allowed_is_not_called_an_attack():
    for name in ("pathlib.PosixPath", "collections.defaultdict", "models.yolo.Model"):
        entries, _ = INDEX.search(AROUND % REFUSED.format(name))
        assert "Somebody put a call" not in entries[0].rest


LONG = "/home/user/projects/digit_classifier/experiments/2024_05_run_17/checkpoints"


@pytest.mark.parametrize(
    ("pasted", "text"),
    [
        (f"IsADirectoryError: [Errno 21] Is a directory: '{LONG}/step_500'", "step-5"),
        (f"RuntimeError: Parent directory {LONG} does not exist.", "Parent directory runs"),
        (
            "AttributeError: Can't get attribute 'DetectionModel' on <module 'ultralytics.nn' from"
            f" '{LONG}/site-packages/ultralytics/nn/__init__.py'>",
            "'Net' on <module 'net'",
        ),
        ("'collections.OrderedDict' object has no attribute 'eval'", "OrderedDict"),
        ("'_IncompatibleKeys' object has no attribute 'cuda'", "_IncompatibleKeys"),
        (
            'Unexpected key(s) in state_dict: "module.transformer.h.0.attn.c_attn.weight"',
            '"module.',
        ),
        ('Unexpected key(s) in state_dict: "_orig_mod.blocks.0.att.qkv.weight"', '"_orig_mod.'),
        ('Missing key(s) in state_dict: "module.a.b"', '"fc1.weight", "fc1.bias", "fc2.'),
        ('Unexpected key(s) in state_dict: "epoch", "model_state_dict"', '"model_state_dict"'),
        (
            "RuntimeError: [enforce fail at inline_container.cc:300] . unexpected pos 1 vs 2",
            "pos N",
        ),
        ("EOFError", "EOFError:"),
        ("KeyError: 'optimizer_state_dict'", "model_state_dict"),
        ("FileNotFoundError: [Errno 2] No such file or directory: 'runs/last.pth'", "best.pt"),
    ],
)
def test_names_paths_and_numbers_of_the_reader_do_not_matter(pasted, text):
    assert text in first(pasted)


@pytest.mark.parametrize(
    "pasted",
    [
        "AttributeError: 'NoneType' object has no attribute 'shape'",
        "AttributeError: 'DataFrame' object has no attribute 'eval_metric'",
        "KeyError: 'label'",
        "ModuleNotFoundError: No module named 'cv2'",
        "TypeError: forward() missing 1 required positional argument: 'mask'",
        "FileNotFoundError: [Errno 2] No such file or directory: 'data/train.csv'",
        "RuntimeError: The size of tensor a (133) must match the size of tensor b (10) at "
        "non-singleton dimension 1",
        "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 20.00 MiB",
        "TypeError: unsupported operand type(s) for +: 'int' and 'str'",
        "hello world",
        "",
    ],
)
def test_the_same_sentence_about_another_object_does_not_fit(pasted):
    assert found(pasted) == []


def test_if_no_entry_fits_the_nearest_are_shown_as_such():
    entries, fits = INDEX.search("my checkpoint behaves in an odd way since the holidays")
    assert entries and not fits


def test_a_task_is_found_in_other_words():
    for words, task in (
        ("save only the LoRA weights", "LoRA"),
        ("GPU out of memory while loading", "GPU memory"),
        ("keep the best of five", "Keep the best"),
        ("continue training tomorrow", "continue training"),
    ):
        entries, _ = INDEX.search(words)
        assert any(task in entry.texts[0] for entry in entries), words


def ask(pasted, **options):
    return subprocess.run(
        [sys.executable, "-m", "helpers.errors"],
        input=pasted,
        cwd=ROOT,
        capture_output=True,
        **options,
    )


def test_the_command_prints_the_entry_and_only_those_of_its_other_wordings_that_resemble_it():
    done = ask(b"_pickle.UnpicklingError: invalid load key, '#'.\n")
    shown = done.stdout.decode()
    assert done.returncode == 0 and done.stderr == b""
    assert "**Fix:**" in shown and "a README" in shown
    assert len(shown.splitlines()) < 100 and "<details>" not in shown


def test_the_command_reads_a_file_also_one_that_powershell_wrote(tmp_path):
    error = tmp_path / "error.txt"
    error.write_text("UnpicklingError: invalid load key, '<'.", encoding="utf-16")
    done = subprocess.run(
        [sys.executable, "-m", "helpers.errors", error], cwd=ROOT, capture_output=True
    )
    assert done.returncode == 0 and b"web page" in done.stdout


@pytest.mark.parametrize("piece", ["weight.", "a", "…", "[Errno 2] ", "\n"])
def test_a_long_text_takes_no_longer_than_its_end(piece):
    """A log of a megabyte would keep the page of the site busy for minutes."""
    asked = piece * (1_000_000 // len(piece)) + "\nUnsupported operand 118"
    assert "Git LFS" in INDEX.search(asked)[0][0].rest


def test_a_long_list_of_names_does_not_hide_the_prefix():
    names = [f"encoder.layer.{number}.attention.self.query.weight" for number in range(800)]
    missing = ", ".join(f'"{name}"' for name in names)
    unexpected = ", ".join(f'"module.{name}"' for name in names)
    text = "RuntimeError: Error(s) in loading state_dict for BertNER:\n"
    text += f"\tMissing key(s) in state_dict: {missing}. \n"
    text += f"\tUnexpected key(s) in state_dict: {unexpected}. "
    assert len(text) > 4 * errors.LONGEST
    assert '"module.' in first(text)


def test_an_error_is_found_before_a_long_log():
    log = "2026-11-27 12:00:00 INFO worker 7: step finished, loss 0.25\n" * 1000
    assert "Git LFS" in INDEX.search("Unsupported operand 118\n" + log)[0][0].rest


def test_backticks_and_the_language_of_the_system_do_not_matter():
    warning = "FutureWarning: You are using `torch.load` with `weights_only=False` (the current"
    warning += " default value), which uses the default pickle module implicitly."
    assert "argparse.Namespace" in first(warning)
    assert "unexpected pos" in first("OSError: [Errno 28] Auf dem Gerät ist kein Platz mehr")


def test_a_task_in_words_shows_the_nearest_entries_also_if_no_entry_fits():
    entries, fits = INDEX.search("use a file with multiple GPUs")
    assert not fits and "nn.DataParallel" in entries[0].rest


def test_the_fix_of_the_wording_that_was_pasted_comes_first():
    pasted = (
        "Due to a serious vulnerability issue in torch.load, even with weights_only=True, we now"
    )
    done = ask(f"ValueError: {pasted} require users to upgrade torch to at least v2.6".encode())
    first_lines = "\n".join(done.stdout.decode().splitlines()[:3])
    assert "Upgrade PyTorch, or use the safetensors file" in first_lines


def test_the_command_says_that_nothing_fits_also_for_text_that_is_not_utf_8():
    done = ask("Größe \ud800".encode("utf-16-le", "surrogatepass") + b"\xff\x00")
    assert done.returncode == 1 and done.stderr == b""
    assert done.stdout.decode().startswith("No entry fits.")

# %% newest-whole: trusts .metadata
# gets 0 of 3: expected the Path of step-8, got PosixPath('
def newest_whole(run):
    whole = [path.parent for path in Path(run).glob("*/.metadata")]
    return max(whole, key=lambda f: int(f.name.removeprefix("step-")))


# %% newest-whole: takes the last folder
# gets 0 of 3: expected the Path of step-8, got PosixPath('
def newest_whole(run):
    return max(Path(run).glob("step-*"), key=lambda f: int(f.name.removeprefix("step-")))


# %% newest-whole: checks whether the files exist, not how long they are
# gets 1 of 3: got step-13 (one of its files is a byte too short)
def newest_whole(run):
    folders = sorted(Path(run).glob("step-*"), key=lambda f: int(f.name.removeprefix("step-")))
    for folder in reversed(folders):
        if (folder / ".metadata").exists():
            places = dcp.FileSystemReader(folder).read_metadata().storage_data.values()
            if all((folder / place.relative_path).exists() for place in places):
                return folder
    raise FileNotFoundError(run)


# %% newest-whole: sorts the names as strings
# gets 1 of 3: got step-9 (it is older: the number counts, not its first digit)
def newest_whole(run):
    for folder in sorted(Path(run).glob("step-*"), reverse=True):
        if (folder / ".metadata").exists():
            places = dcp.FileSystemReader(folder).read_metadata().storage_data.values()
            files = [
                (folder / place.relative_path, place.offset + place.length) for place in places
            ]
            if all(file.exists() and file.stat().st_size >= end for file, end in files):
                return folder
    raise FileNotFoundError(run)


# %% newest-whole: returns None if there is none
# gets 1 of 3: a single checkpoint, which is not complete: expected a FileNotFoundError, got None
def newest_whole(run):
    folders = sorted(Path(run).glob("step-*"), key=lambda f: int(f.name.removeprefix("step-")))
    for folder in reversed(folders):
        if (folder / ".metadata").exists():
            places = dcp.FileSystemReader(folder).read_metadata().storage_data.values()
            files = [
                (folder / place.relative_path, place.offset + place.length) for place in places
            ]
            if all(file.exists() and file.stat().st_size >= end for file, end in files):
                return folder


# %% weights-file: passes everything on
# gets 0 of 4: it holds ['model', 'optimizer', 'step']
def weights_file(folder, path):
    dcp_to_torch_save(folder, path)


# %% weights-file: converts in place, and so loses the old file
# gets 1 of 4: path was missing for a moment
def weights_file(folder, path):
    Path(path).unlink(missing_ok=True)
    dcp_to_torch_save(folder, path)
    torch.save(torch.load(path)["model"], path)


# %% weights-file: writes all of it to the path first
# gets 1 of 4: path held
def weights_file(folder, path):
    with tempfile.TemporaryDirectory() as temporary:
        dcp_to_torch_save(folder, Path(temporary, "whole.pt"))
        whole = torch.load(Path(temporary, "whole.pt"))
    torch.save(whole, path)
    torch.save(whole["model"], path)


# %% weights-file: saves directly to the path
# gets 1 of 4: path held 0 bytes for a moment
def weights_file(folder, path):
    with tempfile.TemporaryDirectory() as temporary:
        whole = Path(temporary, "whole.pt")
        dcp_to_torch_save(folder, whole)
        state = torch.load(whole)
    torch.save(state["model"], path)


# %% weights-file: loses the old file if the checkpoint cannot be read
# gets 1 of 4: the older file is lost
def weights_file(folder, path):
    path = Path(path)
    with tempfile.TemporaryDirectory(dir=path.parent) as temporary:
        whole, weights = Path(temporary, "whole.pt"), Path(temporary, "weights.pt")
        try:
            dcp_to_torch_save(folder, whole)
        except dcp.api.CheckpointException:
            path.unlink()
            raise
        torch.save(torch.load(whole)["model"], weights)
        weights.replace(path)


# %% weights-file: leaves its temporary file
# gets 1 of 4: expected only step-7 and weights.pt in the folder, found
def weights_file(folder, path):
    whole, weights = Path(path).with_suffix(".whole"), Path(path).with_suffix(".new")
    dcp_to_torch_save(folder, whole)
    torch.save(torch.load(whole)["model"], weights)
    weights.replace(path)


# %% weights-file: removes model. from the middle of a name as well
# gets 1 of 4: expected the names
def weights_file(folder, path):
    saved = dcp.FileSystemReader(folder).read_metadata().state_dict_metadata
    state = {
        name: torch.empty(saved[name].size, dtype=saved[name].properties.dtype)
        for name in saved
        if name.startswith("model.")
    }
    dcp.load(state, checkpoint_id=folder)
    torch.save({name.replace("model.", ""): tensor for name, tensor in state.items()}, path)


# %% weights-file: keeps everything that is not called optimizer
# gets 1 of 4: expected the names
def weights_file(folder, path):
    with tempfile.TemporaryDirectory() as temporary:
        whole = Path(temporary, "whole.pt")
        dcp_to_torch_save(folder, whole)
        state = torch.load(whole)["model"]
    torch.save({name: t for name, t in state.items() if not name.startswith("optimizer")}, path)


# %% weights-file: hides the error
# gets 1 of 4: expected the error of DCP, and none came
def weights_file(folder, path):
    with tempfile.TemporaryDirectory(dir=Path(path).parent) as temporary:
        whole, weights = Path(temporary, "whole.pt"), Path(temporary, "weights.pt")
        try:
            dcp_to_torch_save(folder, whole)
        except dcp.api.CheckpointException:
            return
        torch.save(torch.load(whole)["model"], weights)
        weights.replace(path)


# %% load-what-fits: allows missing entries, but no other shape
# gets 0 of 3: Size mismatch
def load_what_fits(model, folder):
    planner = dcp.DefaultLoadPlanner(allow_partial_load=True)
    dcp.load({"model": model.state_dict()}, checkpoint_id=folder, planner=planner)
    return []


# %% load-what-fits: fills copies and not the model
# gets 0 of 3: 0.weight fits
def load_what_fits(model, folder):
    saved = dcp.FileSystemReader(folder).read_metadata().state_dict_metadata
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    fits = {
        name: tensor
        for name, tensor in state.items()
        if f"model.{name}" in saved and saved[f"model.{name}"].size == tensor.shape
    }
    dcp.load({"model": fits}, checkpoint_id=folder)
    return sorted(state.keys() - fits.keys())


# %% load-what-fits: looks for names without model. in front
# gets 0 of 3: 0.weight fits
def load_what_fits(model, folder):
    saved = dcp.FileSystemReader(folder).read_metadata().state_dict_metadata
    state = model.state_dict()
    fits = {n: t for n, t in state.items() if n in saved and saved[n].size == t.shape}
    dcp.load(fits, checkpoint_id=folder)
    return sorted(state.keys() - fits.keys())


# %% load-what-fits: expects every name in the checkpoint
# gets 1 of 3: that the old model does not have: it raised KeyError: 'model.3.weight'
def load_what_fits(model, folder):
    saved = dcp.FileSystemReader(folder).read_metadata().state_dict_metadata
    state = model.state_dict()
    fits = {n: t for n, t in state.items() if saved[f"model.{n}"].size == t.shape}
    dcp.load({"model": fits}, checkpoint_id=folder)
    return sorted(state.keys() - fits.keys())


# %% load-what-fits: forgets the buffers
# gets 1 of 3: does not have: expected ['2.bias', '2.weight', '3.bias', '3.weight'], got
def load_what_fits(model, folder):
    saved = dcp.FileSystemReader(folder).read_metadata().state_dict_metadata
    state = {name: parameter.detach() for name, parameter in model.named_parameters()}
    fits = {
        name: tensor
        for name, tensor in state.items()
        if f"model.{name}" in saved and saved[f"model.{name}"].size == tensor.shape
    }
    dcp.load({"model": fits}, checkpoint_id=folder)
    return sorted(model.state_dict().keys() - fits.keys())


# %% saver: discards what async_save returns
# gets 0 of 4: finish() returned before step-1 was written
class Saver:
    def __init__(self, run):
        self.run = Path(run)

    def save(self, state, step):
        dcp.async_save(state, checkpoint_id=self.run / f"step-{step}")

    def finish(self):
        pass


# %% saver: saves in the foreground
# gets 1 of 4: it should write in the background
class Saver:
    def __init__(self, run):
        self.run = Path(run)

    def save(self, state, step):
        folder = self.run / f"step-{step}"
        folder.mkdir(parents=True)
        dcp.save(state, checkpoint_id=folder)

    def finish(self):
        pass


# %% saver: waits only at the end
# gets 1 of 4: save(…, 2) returned before step-1 was written
class Saver:
    def __init__(self, run):
        self.run, self.saving = Path(run), []

    def save(self, state, step):
        folder = self.run / f"step-{step}"
        folder.mkdir(parents=True)
        self.saving.append(dcp.async_save(state, checkpoint_id=folder))

    def finish(self):
        while self.saving:
            self.saving.pop(0).result()


# %% saver: overwrites an existing checkpoint
# gets 1 of 4: which already exists: expected a FileExistsError, and none came
class Saver:
    def __init__(self, run):
        self.run, self.saving = Path(run), None

    def save(self, state, step):
        self.finish()
        self.saving = dcp.async_save(state, checkpoint_id=self.run / f"step-{step}")

    def finish(self):
        saving, self.saving = self.saving, None
        if saving is not None:
            saving.result()


# %% saver: relies on overwrite=False, which raises another error
# gets 1 of 4: expected a FileExistsError, got RuntimeError: Checkpoint already exists
class Saver:
    def __init__(self, run):
        self.run, self.saving = Path(run), None

    def save(self, state, step):
        self.finish()
        writer = dcp.FileSystemWriter(self.run / f"step-{step}", overwrite=False)
        self.saving = dcp.async_save(state, storage_writer=writer)

    def finish(self):
        saving, self.saving = self.saving, None
        if saving is not None:
            saving.result()


# %% saver: waits and does not ask how it went
# gets 0 of 4: the save of step 2 failed: expected its error from finish()
class Saver:
    def __init__(self, run):
        self.run, self.saving = Path(run), None

    def save(self, state, step):
        self.finish()
        folder = self.run / f"step-{step}"
        folder.mkdir(parents=True)
        self.saving = dcp.async_save(state, checkpoint_id=folder)

    def finish(self):
        if self.saving is not None:
            self.saving.exception()


# %% saver: raises the same error again and again
# gets 1 of 4: a save after save() has raised the error: it raised
class Saver:
    def __init__(self, run):
        self.run, self.saving = Path(run), None

    def save(self, state, step):
        self.finish()
        folder = self.run / f"step-{step}"
        folder.mkdir(parents=True)
        self.saving = dcp.async_save(state, checkpoint_id=folder)

    def finish(self):
        if self.saving is not None:
            self.saving.result()


# %% saver: expects a save to wait for
# gets 0 of 4: has no attribute 'result'
class Saver:
    def __init__(self, run):
        self.run, self.saving = Path(run), None

    def save(self, state, step):
        self.finish()
        folder = self.run / f"step-{step}"
        folder.mkdir(parents=True)
        self.saving = dcp.async_save(state, checkpoint_id=folder)

    def finish(self):
        saving, self.saving = self.saving, None
        saving.result()

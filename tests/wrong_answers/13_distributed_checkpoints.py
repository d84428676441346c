# %% newest-whole: takes the last folder
# gets 0 of 3: you chose step-10
def newest_whole(run):
    return max(Path(run).glob("step-*"), key=lambda f: int(f.name.removeprefix("step-")))


# %% newest-whole: trusts a .metadata
# gets 1 of 3: of step-13 a file is a byte too short
def newest_whole(run):
    whole = [path.parent for path in Path(run).glob("*/.metadata")]
    return max(whole, key=lambda f: int(f.name.removeprefix("step-")))


# %% newest-whole: asks whether the files are there, not how long they are
# gets 1 of 3: of step-13 a file is a byte too short
def newest_whole(run):
    folders = sorted(Path(run).glob("step-*"), key=lambda f: int(f.name.removeprefix("step-")))
    for folder in reversed(folders):
        if (folder / ".metadata").exists():
            places = dcp.FileSystemReader(folder).read_metadata().storage_data.values()
            if all((folder / place.relative_path).exists() for place in places):
                return folder
    raise FileNotFoundError(run)


# %% newest-whole: sorts letters, so that 9 comes after 10
# gets 1 of 3: the numbers count, not the letters
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
# gets 1 of 3: expected FileNotFoundError, and got None
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


# %% weights-file: hands on all of it
# gets 0 of 4: and holds ['model', 'optimizer', 'step']
def weights_file(folder, path):
    dcp_to_torch_save(folder, path)


# %% weights-file: converts in place, and so loses the old file
# gets 1 of 4: the file of before is lost or changed
def weights_file(folder, path):
    Path(path).unlink(missing_ok=True)
    dcp_to_torch_save(folder, path)
    torch.save(torch.load(path)["model"], path)


# %% weights-file: leaves its work behind
# gets 1 of 4: beside the checkpoint and the file there is:
def weights_file(folder, path):
    whole = Path(path).with_suffix(".whole")
    dcp_to_torch_save(folder, whole)
    torch.save(torch.load(whole)["model"], path)


# %% weights-file: takes "model." out of the middle of a name, too
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


# %% weights-file: keeps all that is not an optimizer
# gets 1 of 4: expected the names
def weights_file(folder, path):
    with tempfile.TemporaryDirectory() as temporary:
        whole = Path(temporary, "whole.pt")
        dcp_to_torch_save(folder, whole)
        state = torch.load(whole)["model"]
    torch.save({name: t for name, t in state.items() if not name.startswith("optimizer")}, path)


# %% weights-file: hides the error
# gets 1 of 4: and no error came
def weights_file(folder, path):
    with tempfile.TemporaryDirectory() as temporary:
        whole = Path(temporary, "whole.pt")
        try:
            dcp_to_torch_save(folder, whole)
        except dcp.api.CheckpointException:
            return
        state = torch.load(whole)
    torch.save(state["model"], path)


# %% load-what-fits: allows a part, and no other shape
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


# %% load-what-fits: looks for the names without model.
# gets 0 of 3: 0.weight fits
def load_what_fits(model, folder):
    saved = dcp.FileSystemReader(folder).read_metadata().state_dict_metadata
    state = model.state_dict()
    fits = {n: t for n, t in state.items() if n in saved and saved[n].size == t.shape}
    dcp.load(fits, checkpoint_id=folder)
    return sorted(state.keys() - fits.keys())


# %% load-what-fits: expects every name in the checkpoint
# gets 1 of 3: KeyError: 'model.3.weight'
def load_what_fits(model, folder):
    saved = dcp.FileSystemReader(folder).read_metadata().state_dict_metadata
    state = model.state_dict()
    fits = {n: t for n, t in state.items() if saved[f"model.{n}"].size == t.shape}
    dcp.load({"model": fits}, checkpoint_id=folder)
    return sorted(state.keys() - fits.keys())


# %% load-what-fits: forgets the buffers
# gets 1 of 3: do not fit or were not saved as the model's
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


# %% saver: throws away what async_save returns
# gets 0 of 4: save(…, 2) began before step-1 was written
class Saver:
    def __init__(self, run):
        self.run = Path(run)

    def save(self, state, step):
        dcp.async_save(state, checkpoint_id=self.run / f"step-{step}")

    def finish(self):
        pass


# %% saver: saves in the foreground
# gets 1 of 4: it is to go on in the background
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
# gets 1 of 4: save(…, 2) began before step-1 was written
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


# %% saver: saves over what is there
# gets 1 of 4: no FileExistsError came
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


# %% saver: leaves it to overwrite=False, whose error is another one
# gets 1 of 4: expected FileExistsError, and got RuntimeError: Checkpoint already exists
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
# gets 1 of 4: did not raise its error
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


# %% saver: raises the same error for ever
# gets 1 of 4: was raised a second time
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

# %% is-intact: calls torch.load
# gets 0 of 2: a file with a flipped bit in the weight: expected False, got True
def is_intact(path):
    try:
        torch.load(path)
    except Exception:
        return False
    return True


# %% is-intact: tests whether it is a zip archive
# gets 0 of 2: a file with a flipped bit in the weight: expected False, got True
def is_intact(path):
    return zipfile.is_zipfile(path)


# %% is-intact: expects an archive
# gets 1 of 2: the first half of a file: it raised BadZipFile
def is_intact(path):
    with zipfile.ZipFile(path) as archive:
        return archive.testzip() is None


# %% is-intact: mistakes every file that does not load for a damaged one
# gets 1 of 2: which weights_only refuses: expected True, got False
def is_intact(path):
    try:
        checkpoint.load(path)
    except Exception:
        return False
    return True


# %% is-intact: expects one kind of error
# gets 1 of 2: in the list of records: it raised
def is_intact(path):
    try:
        with zipfile.ZipFile(path) as archive:
            ours = any(name.endswith("/data.pkl") for name in archive.namelist())
            return ours and archive.testzip() is None
    except zipfile.BadZipFile:
        return False


# %% is-intact: mistakes every zip archive for a file of torch.save
# gets 1 of 2: a zip archive from NumPy, an .npz: expected False, got True
def is_intact(path):
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.testzip() is None
    except Exception:
        return False


# %% replace-whole: writes to the path itself
# gets 0 of 4: the write failed, and the old file of
def replace_whole(path, write):
    write(path)


# %% replace-whole: hides the error
# gets 0 of 4: expected the TypeError, and none came
def replace_whole(path, write):
    temporary = path.with_name(path.name + ".tmp")
    try:
        write(temporary)
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)


# %% replace-whole: leaves the unfinished file
# gets 1 of 4: it contains ['losses.csv', 'losses.csv.tmp', 'notes.txt']
def replace_whole(path, write):
    temporary = path.with_name(path.name + ".tmp")
    write(temporary)
    os.replace(temporary, path)


# %% replace-whole: forgets Ctrl-C
# gets 1 of 4: it contains ['losses.csv', 'losses.csv.tmp', 'notes.txt']
def replace_whole(path, write):
    temporary = path.with_name(path.name + ".tmp")
    try:
        write(temporary)
    except Exception:
        temporary.unlink(missing_ok=True)
        raise
    os.replace(temporary, path)


# %% replace-whole: writes in the system's temporary folder
# gets 1 of 4: write was given a name in another folder
def replace_whole(path, write):
    import shutil

    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder) / path.name)
        shutil.move(Path(folder) / path.name, path)


# %% replace-whole: deletes the old file first
# gets 1 of 4: after its 'unlink': losses.csv is missing
def replace_whole(path, write):
    temporary = path.with_name(path.name + ".tmp")
    try:
        write(temporary)
        path.unlink()
        temporary.rename(path)
    finally:
        temporary.unlink(missing_ok=True)


# %% replace-whole: copies the new file over the old one
# gets 1 of 4: after its 'open': losses.csv holds 0 bytes
def replace_whole(path, write):
    temporary = path.with_name(path.name + ".tmp")
    try:
        write(temporary)
        path.write_bytes(temporary.read_bytes())
    finally:
        temporary.unlink(missing_ok=True)


# %% replace-whole: keeps the old content in memory and writes it back
# gets 1 of 4: after its 'open': losses.csv holds 0 bytes instead of the old or the new content
def replace_whole(path, write):
    old = path.read_bytes()
    try:
        write(path)
    except BaseException:
        path.write_bytes(old)
        raise


# %% load-newest: loads without checking
# gets 0 of 3: step 10 has a flipped bit: expected step 9, got step 10
def load_newest(folder):
    skipped = []
    paths = folder.glob("step-*.pt")
    for path in sorted(paths, key=lambda path: int(path.stem[5:]), reverse=True):
        try:
            return torch.load(path), skipped
        except RuntimeError:
            skipped.append(path.name)
    raise FileNotFoundError(folder)


# %% load-newest: sorts the names as strings
# gets 0 of 3: expected ['step-10.pt'] as skipped, got []
def load_newest(folder):
    skipped = []
    for path in sorted(folder.glob("step-*.pt"), reverse=True):
        try:
            return checkpoint.load(path), skipped
        except checkpoint.CorruptError:
            skipped.append(path.name)
    raise FileNotFoundError(folder)


# %% load-newest: goes by the time of the file
# gets 1 of 3: expected the state of step 9, got that of step 8
def load_newest(folder):
    skipped = []
    for path in sorted(folder.glob("step-*.pt"), key=os.path.getmtime, reverse=True):
        try:
            return checkpoint.load(path), skipped
        except checkpoint.CorruptError:
            skipped.append(path.name)
    raise FileNotFoundError(folder)


# %% load-newest: skips every file that raises an error
# gets 1 of 3: which weights_only refuses: expected the UnpicklingError, got ({'step': 9
def load_newest(folder):
    skipped = []
    paths = folder.glob("step-*.pt")
    for path in sorted(paths, key=lambda path: int(path.stem[5:]), reverse=True):
        try:
            return checkpoint.load(path), skipped
        except Exception:
            skipped.append(path.name)
    raise FileNotFoundError(folder)


# %% load-newest: returns None if none is intact
# gets 1 of 3: all checkpoints are empty files: expected the FileNotFoundError, got
def load_newest(folder):
    skipped = []
    paths = folder.glob("step-*.pt")
    for path in sorted(paths, key=lambda path: int(path.stem[5:]), reverse=True):
        try:
            return checkpoint.load(path), skipped
        except checkpoint.CorruptError:
            skipped.append(path.name)
    return None, skipped


# %% load-newest: reads every name as a number
# gets 1 of 3: there is a step-best.pt: it raised ValueError
def load_newest(folder):
    skipped = []
    steps = {int(path.stem.removeprefix("step-")): path for path in folder.glob("step-*.pt")}
    for step in sorted(steps, reverse=True):
        try:
            return checkpoint.load(steps[step]), skipped
        except checkpoint.CorruptError:
            skipped.append(steps[step].name)
    raise FileNotFoundError(f"No intact checkpoint in {folder}. Damaged: {skipped}")


# %% save-and-prune: makes room first
# gets 0 of 3: the folder should be unchanged; it now holds ['step-4.pt', 'step-5.pt']
def save_and_prune(state, folder, step, keep):
    steps = sorted(int(path.stem[5:]) for path in folder.glob("step-*.pt"))
    for old in steps[: len(steps) - keep + 1]:
        (folder / f"step-{old}.pt").unlink()
    checkpoint.save(folder / f"step-{step}.pt", **state)


# %% save-and-prune: leaves a partial file
# gets 0 of 3: it now holds ['step-3.pt', 'step-4.pt', 'step-5.pt', 'step-6.pt']
def save_and_prune(state, folder, step, keep):
    torch.save(state, folder / f"step-{step}.pt")
    steps = sorted(int(path.stem[5:]) for path in folder.glob("step-*.pt"))
    for old in steps[:-keep]:
        (folder / f"step-{old}.pt").unlink()


# %% save-and-prune: sorts the names as strings
# gets 1 of 3: found ['best.pt', 'losses.csv', 'step-8.pt', 'step-9.pt']
def save_and_prune(state, folder, step, keep):
    checkpoint.save(folder / f"step-{step}.pt", **state)
    for path in sorted(folder.glob("step-*.pt"))[:-keep]:
        path.unlink()


# %% save-and-prune: deletes only one
# gets 1 of 3: 'step-10.pt', 'step-11.pt', 'step-8.pt', 'step-9.pt']
def save_and_prune(state, folder, step, keep):
    checkpoint.save(folder / f"step-{step}.pt", **state)
    steps = sorted(int(path.stem[5:]) for path in folder.glob("step-*.pt"))
    if len(steps) > keep:
        (folder / f"step-{steps[0]}.pt").unlink()


# %% save-and-prune: deletes every old file
# gets 1 of 3: found ['step-10.pt', 'step-11.pt']
def save_and_prune(state, folder, step, keep):
    checkpoint.save(folder / f"step-{step}.pt", **state)
    kept = {f"step-{step - ago}.pt" for ago in range(keep)}
    for path in folder.iterdir():
        if path.name not in kept:
            path.unlink()


# %% save-and-prune: reads every name as a number
# gets 1 of 3: beside a step-best.pt: it raised ValueError
def save_and_prune(state, folder, step, keep):
    checkpoint.save(folder / f"step-{step}.pt", **state)
    steps = sorted(int(path.stem.removeprefix("step-")) for path in folder.glob("step-*.pt"))
    for old in steps[:-keep]:
        (folder / f"step-{old}.pt").unlink()


# %% save-in-background: copies nothing
# gets 0 of 4: was 3 and the weight [1, 1]; the file holds {'epoch': 3, 'weight': tensor([101
def save_in_background(state, path):
    return ThreadPoolExecutor().submit(torch.save, state, path).result


# %% save-in-background: copies the dict and not the tensors
# gets 0 of 4: 'weight': tensor([101
def save_in_background(state, path):
    return ThreadPoolExecutor().submit(torch.save, dict(state), path).result


# %% save-in-background: copies in the thread
# gets 1 of 4: the file holds [4, [101.0, 101.0], [101.0, 101.0]]
def save_in_background(state, path):
    def save():
        torch.save({name: copy.deepcopy(value) for name, value in state.items()}, path)

    return ThreadPoolExecutor().submit(save).result


# %% save-in-background: waits for the thread immediately
# gets 1 of 4: so training cannot continue
def save_in_background(state, path):
    with ThreadPoolExecutor() as executor:
        future = executor.submit(torch.save, copy.deepcopy(state), path)
    return future.result


# %% save-in-background: uses no thread
# gets 1 of 4: so training cannot continue
def save_in_background(state, path):
    torch.save(state, path)
    return lambda: None


# %% save-in-background: loses the error in the thread
# gets 1 of 4: expected the error of torch.save from wait(), got None
def save_in_background(state, path):
    thread = threading.Thread(target=torch.save, args=(copy.deepcopy(state), path))
    thread.start()
    return thread.join

# %% is-intact: asks torch.load
# gets 0 of 2: a bit of the weight is flipped
def is_intact(path):
    try:
        torch.load(path)
    except Exception:
        return False
    return True


# %% is-intact: asks whether it is a zip archive
# gets 0 of 2: a bit of the weight is flipped
def is_intact(path):
    return zipfile.is_zipfile(path)


# %% is-intact: expects an archive
# gets 1 of 2: BadZipFile
def is_intact(path):
    with zipfile.ZipFile(path) as archive:
        return archive.testzip() is None


# %% is-intact: takes whatever does not load for damaged
# gets 1 of 2: that is no damage
def is_intact(path):
    try:
        checkpoint.load(path)
    except Exception:
        return False
    return True


# %% replace-whole: writes to the path itself
# gets 0 of 4: the old file is not as it was
def replace_whole(path, write):
    write(path)


# %% replace-whole: hides the error
# gets 0 of 4: the caller must be told
def replace_whole(path, write):
    temporary = path.with_name(path.name + ".tmp")
    try:
        write(temporary)
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)


# %% replace-whole: leaves what it had begun
# gets 1 of 4: there is ['losses.csv', 'losses.csv.tmp', 'notes.txt']
def replace_whole(path, write):
    temporary = path.with_name(path.name + ".tmp")
    write(temporary)
    os.replace(temporary, path)


# %% replace-whole: does not think of Ctrl-C
# gets 1 of 4: there is ['losses.csv', 'losses.csv.tmp', 'notes.txt']
def replace_whole(path, write):
    temporary = path.with_name(path.name + ".tmp")
    try:
        write(temporary)
    except Exception:
        temporary.unlink(missing_ok=True)
        raise
    os.replace(temporary, path)


# %% replace-whole: writes in the system's temporary folder
# gets 1 of 4: a name in another folder
def replace_whole(path, write):
    import shutil

    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder) / path.name)
        shutil.move(Path(folder) / path.name, path)


# %% replace-whole: deletes the old one first
# gets 1 of 4: after its 'unlink': losses.csv is gone
def replace_whole(path, write):
    temporary = path.with_name(path.name + ".tmp")
    try:
        write(temporary)
        path.unlink()
        temporary.rename(path)
    finally:
        temporary.unlink(missing_ok=True)


# %% replace-whole: copies the whole file over the old one
# gets 1 of 4: after its 'open': losses.csv holds 0 bytes
def replace_whole(path, write):
    temporary = path.with_name(path.name + ".tmp")
    try:
        write(temporary)
        path.write_bytes(temporary.read_bytes())
    finally:
        temporary.unlink(missing_ok=True)


# %% replace-whole: keeps the old content in memory and puts it back
# gets 1 of 4: after its 'open': losses.csv holds 0 bytes: neither the old nor the new
def replace_whole(path, write):
    old = path.read_bytes()
    try:
        write(path)
    except BaseException:
        path.write_bytes(old)
        raise


# %% load-newest: loads without a check
# gets 1 of 3: got that of step 11
def load_newest(folder):
    skipped = []
    paths = folder.glob("step-*.pt")
    for path in sorted(paths, key=lambda path: int(path.stem[5:]), reverse=True):
        try:
            return torch.load(path), skipped
        except RuntimeError:
            skipped.append(path.name)
    raise FileNotFoundError(folder)


# %% load-newest: sorts names as texts
# gets 1 of 3: expected ['step-11.pt', 'step-10.pt'] as what was skipped, and got []
def load_newest(folder):
    skipped = []
    for path in sorted(folder.glob("step-*.pt"), reverse=True):
        try:
            return checkpoint.load(path), skipped
        except checkpoint.CorruptError:
            skipped.append(path.name)
    raise FileNotFoundError(folder)


# %% load-newest: goes by the time
# gets 1 of 3: got that of step 8
def load_newest(folder):
    skipped = []
    for path in sorted(folder.glob("step-*.pt"), key=os.path.getmtime, reverse=True):
        try:
            return checkpoint.load(path), skipped
        except checkpoint.CorruptError:
            skipped.append(path.name)
    raise FileNotFoundError(folder)


# %% load-newest: skips whatever raises an error
# gets 1 of 3: got the state of step 9 without a word
def load_newest(folder):
    skipped = []
    paths = folder.glob("step-*.pt")
    for path in sorted(paths, key=lambda path: int(path.stem[5:]), reverse=True):
        try:
            return checkpoint.load(path), skipped
        except Exception:
            skipped.append(path.name)
    raise FileNotFoundError(folder)


# %% load-newest: says nothing if none is intact
# gets 1 of 3: none is intact
def load_newest(folder):
    skipped = []
    paths = folder.glob("step-*.pt")
    for path in sorted(paths, key=lambda path: int(path.stem[5:]), reverse=True):
        try:
            return checkpoint.load(path), skipped
        except checkpoint.CorruptError:
            skipped.append(path.name)
    return None, skipped


# %% save-and-prune: makes room first
# gets 1 of 3: ['step-7.pt', 'step-8.pt', 'step-9.pt'] is deleted
def save_and_prune(state, folder, step, keep):
    steps = sorted(int(path.stem[5:]) for path in folder.glob("step-*.pt"))
    for old in steps[: len(steps) - keep + 1]:
        (folder / f"step-{old}.pt").unlink()
    checkpoint.save(folder / f"step-{step}.pt", **state)


# %% save-and-prune: leaves half a checkpoint
# gets 1 of 3: [] is deleted, and ['step-11.pt'] is new
def save_and_prune(state, folder, step, keep):
    torch.save(state, folder / f"step-{step}.pt")
    steps = sorted(int(path.stem[5:]) for path in folder.glob("step-*.pt"))
    for old in steps[:-keep]:
        (folder / f"step-{old}.pt").unlink()


# %% save-and-prune: sorts names as texts
# gets 1 of 3: there is ['best.pt', 'losses.csv', 'step-8.pt', 'step-9.pt']
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


# %% save-and-prune: deletes whatever is old
# gets 1 of 3: there is ['step-10.pt', 'step-11.pt']
def save_and_prune(state, folder, step, keep):
    checkpoint.save(folder / f"step-{step}.pt", **state)
    kept = {f"step-{step - ago}.pt" for ago in range(keep)}
    for path in folder.iterdir():
        if path.name not in kept:
            path.unlink()


# %% save-in-background: copies nothing
# gets 1 of 4: the file holds [4, [101.0, 101.0], [101.0, 101.0]]
def save_in_background(state, path):
    return ThreadPoolExecutor().submit(torch.save, state, path).result


# %% save-in-background: copies the dict and not the tensors
# gets 1 of 4: the file holds [3, [101.0, 101.0], [101.0, 101.0]]
def save_in_background(state, path):
    return ThreadPoolExecutor().submit(torch.save, dict(state), path).result


# %% save-in-background: copies in the thread, when it comes to it
# gets 1 of 4: the file holds [4, [101.0, 101.0], [101.0, 101.0]]
def save_in_background(state, path):
    def save():
        torch.save({name: copy.deepcopy(value) for name, value in state.items()}, path)

    return ThreadPoolExecutor().submit(save).result


# %% save-in-background: waits for the thread at once
# gets 1 of 4: training cannot go on in the meantime
def save_in_background(state, path):
    with ThreadPoolExecutor() as executor:
        future = executor.submit(torch.save, copy.deepcopy(state), path)
    return future.result


# %% save-in-background: needs no thread
# gets 1 of 4: training cannot go on in the meantime
def save_in_background(state, path):
    torch.save(state, path)
    return lambda: None


# %% save-in-background: loses the error in the thread
# gets 1 of 4: wait(), and it raised none
def save_in_background(state, path):
    thread = threading.Thread(target=torch.save, args=(copy.deepcopy(state), path))
    thread.start()
    return thread.join


# %% is-intact: knows one error only
# gets 1 of 2: a bit in the list of records is flipped: it raised
def is_intact(path):
    try:
        with zipfile.ZipFile(path) as archive:
            ours = any(name.endswith("/data.pkl") for name in archive.namelist())
            return ours and archive.testzip() is None
    except zipfile.BadZipFile:
        return False


# %% is-intact: takes any zip archive for one of torch.save
# gets 1 of 2: a zip archive of numpy's is no file of torch.save
def is_intact(path):
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.testzip() is None
    except Exception:
        return False


# %% load-newest: reads every name as a number
# gets 1 of 3: step-best.pt does not count, and led to this: invalid literal for int()
def load_newest(folder):
    skipped = []
    steps = {int(path.stem.removeprefix("step-")): path for path in folder.glob("step-*.pt")}
    for step in sorted(steps, reverse=True):
        try:
            return checkpoint.load(steps[step]), skipped
        except checkpoint.CorruptError:
            skipped.append(steps[step].name)
    raise FileNotFoundError(f"No intact checkpoint in {folder}. Damaged: {skipped}")


# %% save-and-prune: reads every name as a number
# gets 1 of 3: step-best.pt is no step, and led to this: invalid literal for int()
def save_and_prune(state, folder, step, keep):
    checkpoint.save(folder / f"step-{step}.pt", **state)
    steps = sorted(int(path.stem.removeprefix("step-")) for path in folder.glob("step-*.pt"))
    for old in steps[:-keep]:
        (folder / f"step-{old}.pt").unlink()

# %% train: saves in the handler
# gets 0 of 4: found ['step 1', 'step 2', 'save 2', 'step 3', 'save 3 in the middle of step 3'
def train(steps, train_step, save, every):
    step = 0
    requested = False

    def request(number, frame):
        nonlocal requested
        save(step)
        requested = True

    before = signal.signal(signal.SIGTERM, request)
    try:
        for step in range(1, steps + 1):
            train_step()
            if requested:
                break
            if step % every == 0 or step == steps:
                save(step)
    finally:
        signal.signal(signal.SIGTERM, before)
    return step


# %% train: sets no handler
# gets 0 of 4: found ['step 1', 'step 2', 'save 2', 'step 3', 'step 4'
def train(steps, train_step, save, every):
    for step in range(1, steps + 1):
        train_step()
        if step % every == 0 or step == steps:
            save(step)
    return steps


# %% train: expects an exception, which SIGTERM does not raise
# gets 0 of 4: found ['step 1', 'step 2', 'save 2', 'step 3', 'step 4'
def train(steps, train_step, save, every):
    step = saved = 0
    try:
        for step in range(1, steps + 1):
            train_step()
            if step % every == 0:
                save(step)
                saved = step
    finally:
        if saved != step:
            save(step)
    return step


# %% train: raises an exception in the handler
# gets 0 of 4: found ['step 1', 'step 2', 'save 2', 'step 3 interrupted', 'save 2']
def train(steps, train_step, save, every):
    def request(number, frame):
        raise KeyboardInterrupt

    step = 0
    before = signal.signal(signal.SIGTERM, request)
    try:
        while step < steps:
            train_step()
            step += 1
            if step % every == 0 or step == steps:
                save(step)
    except KeyboardInterrupt:
        save(step)
    finally:
        signal.signal(signal.SIGTERM, before)
    return step


# %% train: exits in the handler
# gets 0 of 4: with SIGTERM in step 3: it raised SystemExit(
def train(steps, train_step, save, every):
    step = 0

    def request(number, frame):
        save(step)
        raise SystemExit(75)

    before = signal.signal(signal.SIGTERM, request)
    try:
        while step < steps:
            train_step()
            step += 1
            if step % every == 0 or step == steps:
                save(step)
    finally:
        signal.signal(signal.SIGTERM, before)
    return step


# %% train: looks at the flag only when it saves anyway
# gets 0 of 4: found ['step 1', 'step 2', 'save 2', 'step 3', 'step 4', 'save 4']
def train(steps, train_step, save, every):
    requested = []
    before = signal.signal(signal.SIGTERM, lambda *_: requested.append(True))
    try:
        for step in range(1, steps + 1):
            train_step()
            if step % every == 0 or step == steps:
                save(step)
                if requested:
                    break
    finally:
        signal.signal(signal.SIGTERM, before)
    return step


# %% train: stops without a save
# gets 0 of 4: found ['step 1', 'step 2', 'save 2', 'step 3']
def train(steps, train_step, save, every):
    requested = []
    before = signal.signal(signal.SIGTERM, lambda *_: requested.append(True))
    try:
        for step in range(1, steps + 1):
            train_step()
            if requested:
                break
            if step % every == 0 or step == steps:
                save(step)
    finally:
        signal.signal(signal.SIGTERM, before)
    return step


# %% train: leaves its handler
# gets 0 of 4: without a signal: after train, SIGTERM does not have the handler
def train(steps, train_step, save, every):
    requested = []
    signal.signal(signal.SIGTERM, lambda *_: requested.append(True))
    step = saved = 0
    while step < steps and not requested:
        train_step()
        step += 1
        if step % every == 0:
            save(step)
            saved = step
    if saved != step:
        save(step)
    return step


# %% train: sets the default action at the end
# gets 0 of 4: without a signal: after train, SIGTERM does not have the handler
def train(steps, train_step, save, every):
    requested = []
    signal.signal(signal.SIGTERM, lambda *_: requested.append(True))
    step = saved = 0
    try:
        while step < steps and not requested:
            train_step()
            step += 1
            if step % every == 0:
                save(step)
                saved = step
        if saved != step:
            save(step)
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
    return step


# %% train: saves the last step twice
# gets 1 of 4: with SIGTERM in step 4: expected the calls ['step 1', 'step 2', 'save 2', 'step 3'
def train(steps, train_step, save, every):
    requested = []
    before = signal.signal(signal.SIGTERM, lambda *_: requested.append(True))
    try:
        for step in range(1, steps + 1):
            train_step()
            if step % every == 0 or step == steps:
                save(step)
            if requested:
                save(step)
                break
    finally:
        signal.signal(signal.SIGTERM, before)
    return step


# %% train: does not save the end of a run that nobody stops
# gets 0 of 4: without a signal: expected the calls ['step 1', 'step 2', 'save 2', 'step 3', 'step
def train(steps, train_step, save, every):
    requested, step, saved = [], 0, 0
    before = signal.signal(signal.SIGTERM, lambda *_: requested.append(True))
    try:
        while step < steps and not requested:
            train_step()
            step += 1
            if step % every == 0:
                save(step)
                saved = step
        if requested and saved != step:
            save(step)
    finally:
        signal.signal(signal.SIGTERM, before)
    return step


# %% train: sets the old handler only if nothing is raised
# gets 1 of 4: step 1 raises ValueError('the loss is nan'), without a signal: after train, SIGTERM
def train(steps, train_step, save, every):
    requested = []
    before = signal.signal(signal.SIGTERM, lambda *_: requested.append(True))
    step = saved = 0
    while step < steps and not requested:
        train_step()
        step += 1
        if step % every == 0:
            save(step)
            saved = step
    if saved != step:
        save(step)
    signal.signal(signal.SIGTERM, before)
    return step


# %% train: also saves after an error
# gets 1 of 4: expected the calls ['step 1 interrupted'], found ['step 1 interrupted', 'save 1']
def train(steps, train_step, save, every):
    requested = []
    before = signal.signal(signal.SIGTERM, lambda *_: requested.append(True))
    step = saved = 0
    try:
        for step in range(1, steps + 1):
            train_step()
            if step % every == 0:
                save(step)
                saved = step
            if requested:
                break
    finally:
        if saved != step:
            save(step)
        signal.signal(signal.SIGTERM, before)
    return step


# %% train: lets the second signal through
# gets 1 of 4: with SIGTERM in step 3 and again in step 3: SIGTERM reached the handler
def train(steps, train_step, save, every):
    requested = []

    def request(number, frame):
        requested.append(True)
        signal.signal(signal.SIGTERM, before)

    before = signal.signal(signal.SIGTERM, request)
    step = saved = 0
    try:
        while step < steps and not requested:
            train_step()
            step += 1
            if step % every == 0:
                save(step)
                saved = step
        if saved != step:
            save(step)
    finally:
        signal.signal(signal.SIGTERM, before)
    return step


# %% train: sets the default action after the first signal
# gets 1 of 4: SIGTERM would have ended the process, because no handler was set
def train(steps, train_step, save, every):
    requested = []

    def request(number, frame):
        requested.append(True)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)

    before = signal.signal(signal.SIGTERM, request)
    step = saved = 0
    try:
        while step < steps and not requested:
            train_step()
            step += 1
            if step % every == 0:
                save(step)
                saved = step
        if saved != step:
            save(step)
    finally:
        signal.signal(signal.SIGTERM, before)
    return step


# %% train: looks at the flag twice in a step
# gets 1 of 4: SIGTERM arrives after the call of step 1, before the line 'if requested:'
def train(steps, train_step, save, every):
    requested = []
    before = signal.signal(signal.SIGTERM, lambda *_: requested.append(True))
    try:
        for step in range(1, steps + 1):
            train_step()
            if step % every == 0 or step == steps or requested:
                save(step)
            if requested:
                break
    finally:
        signal.signal(signal.SIGTERM, before)
    return step


# %% train: clears the flag after it has set the handler
# gets 1 of 4: before the line 'requested = False': expected at most one further step
def train(steps, train_step, save, every):
    def request(number, frame):
        nonlocal requested
        requested = True

    before = signal.signal(signal.SIGTERM, request)
    requested = False
    step = saved = 0
    try:
        while step < steps and not requested:
            train_step()
            step += 1
            if step % every == 0:
                save(step)
                saved = step
        if saved != step:
            save(step)
    finally:
        signal.signal(signal.SIGTERM, before)
    return step


# %% steps-to-save: counts the seconds from the start
# gets 0 of 3: by the clock only, every=100, seconds=30
def steps_to_save(ends, every, seconds):
    steps = []
    for step, end in enumerate(ends, 1):
        if step % every == 0 or end >= seconds:
            steps.append(step)
    return steps


# %% steps-to-save: goes by multiples of the seconds
# gets 0 of 3: by steps and by the clock, every=5, seconds=30
def steps_to_save(ends, every, seconds):
    steps, before = [], 0
    for step, end in enumerate(ends, 1):
        if step % every == 0 or end // seconds > before // seconds:
            steps.append(step)
        before = end
    return steps


# %% steps-to-save: sets the clock back only after a save by the clock
# gets 0 of 3: expected [3, 5, 8], got [3, 5, 6]
def steps_to_save(ends, every, seconds):
    steps, saved = [], 0
    for step, end in enumerate(ends, 1):
        if end - saved >= seconds:
            steps.append(step)
            saved = end
        elif step % every == 0:
            steps.append(step)
    return steps


# %% steps-to-save: counts the steps from the last save
# gets 0 of 3: expected [3, 5, 8], got [3, 6]
def steps_to_save(ends, every, seconds):
    steps, saved, last = [], 0, 0
    for step, end in enumerate(ends, 1):
        if step - last == every or end - saved >= seconds:
            steps.append(step)
            saved, last = end, step
    return steps


# %% steps-to-save: waits for more than the seconds
# gets 0 of 3: by the clock only, every=100, seconds=30
def steps_to_save(ends, every, seconds):
    steps, saved = [], 0
    for step, end in enumerate(ends, 1):
        if step % every == 0 or end - saved > seconds:
            steps.append(step)
            saved = end
    return steps


# %% steps-to-save: counts the steps from zero
# gets 0 of 3: by steps only, every=2, seconds=1000
def steps_to_save(ends, every, seconds):
    steps, saved = [], 0
    for step, end in enumerate(ends):
        if step % every == 0 or end - saved >= seconds:
            steps.append(step)
            saved = end
    return steps


# %% steps-to-save: measures each step by itself
# gets 0 of 3: expected [3, 6], got []
def steps_to_save(ends, every, seconds):
    steps, before = [], 0
    for step, end in enumerate(ends, 1):
        if step % every == 0 or end - before >= seconds:
            steps.append(step)
        before = end
    return steps


# %% steps-to-save: starts the clock with the first step
# gets 0 of 3: expected [3, 6], got [4, 7]
def steps_to_save(ends, every, seconds):
    steps, saved = [], ends[0]
    for step, end in enumerate(ends, 1):
        if step % every == 0 or end - saved >= seconds:
            steps.append(step)
            saved = end
    return steps


# %% steps-to-save: adds the seconds to the time of the last save
# gets 1 of 3: the first step is slow, every=10, seconds=10, ends=[100, 101, 102]: expected [1]
def steps_to_save(ends, every, seconds):
    steps, saved = [], 0
    for step, end in enumerate(ends, 1):
        if step % every == 0:
            steps.append(step)
            saved = end
        elif end - saved >= seconds:
            steps.append(step)
            saved += seconds
    return steps


# %% steps-to-save: rounds the last save down to a multiple of the seconds
# gets 1 of 3: irregular times, every=100, seconds=40
def steps_to_save(ends, every, seconds):
    steps, saved = [], 0
    for step, end in enumerate(ends, 1):
        if step % every == 0:
            steps.append(step)
            saved = end
        elif end - saved >= seconds:
            steps.append(step)
            saved = end // seconds * seconds
    return steps


# %% steps-to-save: lists a step with two reasons twice
# gets 1 of 3: both reasons for the same step, every=3, seconds=30
def steps_to_save(ends, every, seconds):
    steps, saved = [], 0
    for step, end in enumerate(ends, 1):
        late = end - saved >= seconds
        if late:
            steps.append(step)
            saved = end
        if step % every == 0:
            steps.append(step)
            saved = end
    return steps


# %% steps-to-save: counts whole seconds
# gets 1 of 3: fractions, every=10, seconds=0.5
def steps_to_save(ends, every, seconds):
    steps, saved = [], 0
    for step, end in enumerate(ends, 1):
        if step % every == 0 or int(end - saved) >= seconds:
            steps.append(step)
            saved = end
    return steps


# %% save-folder: writes under the final name
# gets 0 of 4: while write runs, the name step-10 should not exist yet, and it exists
def save_folder(folder, write):
    folder.mkdir()
    try:
        write(folder)
    except BaseException:
        shutil.rmtree(folder)
        raise


def newest(root):
    paths = [path for path in root.glob("step-*") if path.is_dir()]
    paths = [path for path in paths if path.name.removeprefix("step-").isdecimal()]
    return max(paths, key=lambda path: int(path.name[5:]), default=None)


# %% save-folder: sorts the names as strings
# gets 0 of 4: step-9 and step-10: expected
def save_folder(folder, write):
    temporary = folder.with_name(f"writing-{folder.name}")
    if folder.exists():
        raise FileExistsError(folder)
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    try:
        write(temporary)
        temporary.rename(folder)
    except BaseException:
        shutil.rmtree(temporary)
        raise


def newest(root):
    return max((path for path in root.glob("step-*") if path.is_dir()), default=None)


# %% save-folder: takes its temporary folder for a complete one
# gets 0 of 4: while write runs, the newest folder should be step-9; newest returned
def save_folder(folder, write):
    temporary = folder.with_name(f"{folder.name}.tmp")
    if folder.exists():
        raise FileExistsError(folder)
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    try:
        write(temporary)
        temporary.rename(folder)
    except BaseException:
        shutil.rmtree(temporary)
        raise


def newest(root):
    paths = [path for path in root.glob("step-*") if path.is_dir()]
    return max(paths, key=lambda path: int(path.name[5:].split(".")[0]), default=None)


# %% save-folder: calls write with a folder that does not exist
# gets 0 of 4: save_folder raised
def save_folder(folder, write):
    temporary = folder.with_name(f"{folder.name}.tmp")
    if folder.exists():
        raise FileExistsError(folder)
    write(temporary)
    temporary.rename(folder)


def newest(root):
    paths = [path for path in root.glob("step-*") if path.name[5:].isdecimal()]
    return max(paths, key=lambda path: int(path.name[5:]), default=None)


# %% save-folder: copies the complete folder to its name
# gets 1 of 4: step-8 is incomplete, with the files
def save_folder(folder, write):
    if folder.exists():
        raise FileExistsError(folder)
    with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
        write(Path(temporary))
        shutil.copytree(temporary, folder)


def newest(root):
    paths = [path for path in root.glob("step-*") if path.is_dir()]
    paths = [path for path in paths if path.name.removeprefix("step-").isdecimal()]
    return max(paths, key=lambda path: int(path.name[5:]), default=None)


# %% save-folder: renames file by file
# gets 1 of 4: step-8 is incomplete, with the files []
def save_folder(folder, write):
    if folder.exists():
        raise FileExistsError(folder)
    with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
        write(Path(temporary))
        folder.mkdir()
        for path in sorted(Path(temporary).iterdir()):
            path.rename(folder / path.name)


def newest(root):
    paths = [path for path in root.glob("step-*") if path.is_dir()]
    paths = [path for path in paths if path.name.removeprefix("step-").isdecimal()]
    return max(paths, key=lambda path: int(path.name[5:]), default=None)


# %% save-folder: writes in the system's temporary folder
# gets 1 of 4: which is not below the folder of step-8
def save_folder(folder, write):
    if folder.exists():
        raise FileExistsError(folder)
    with tempfile.TemporaryDirectory() as temporary:
        path = Path(temporary) / folder.name
        path.mkdir()
        write(path)
        shutil.move(path, folder)


def newest(root):
    paths = [path for path in root.glob("step-*") if path.is_dir()]
    paths = [path for path in paths if path.name.removeprefix("step-").isdecimal()]
    return max(paths, key=lambda path: int(path.name[5:]), default=None)


# %% save-folder: leaves the temporary folder after an error
# gets 1 of 4: nothing of the folder should remain; there is ['run/step-10.tmp', 'run/step-10.tmp/
def save_folder(folder, write):
    if folder.exists():
        raise FileExistsError(folder)
    temporary = folder.with_name(f"{folder.name}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    write(temporary)
    temporary.rename(folder)


def newest(root):
    paths = [path for path in root.glob("step-*") if path.is_dir()]
    paths = [path for path in paths if path.name.removeprefix("step-").isdecimal()]
    return max(paths, key=lambda path: int(path.name[5:]), default=None)


# %% save-folder: forgets Ctrl-C
# gets 1 of 4: write raises KeyboardInterrupt(): nothing of the folder should remain
def save_folder(folder, write):
    if folder.exists():
        raise FileExistsError(folder)
    temporary = folder.with_name(f"{folder.name}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    try:
        write(temporary)
    except Exception:
        shutil.rmtree(temporary)
        raise
    temporary.rename(folder)


def newest(root):
    paths = [path for path in root.glob("step-*") if path.is_dir()]
    paths = [path for path in paths if path.name.removeprefix("step-").isdecimal()]
    return max(paths, key=lambda path: int(path.name[5:]), default=None)


# %% save-folder: hides the error
# gets 1 of 4: expected this error from save_folder, and none came
def save_folder(folder, write):
    if folder.exists():
        raise FileExistsError(folder)
    temporary = folder.with_name(f"{folder.name}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    try:
        write(temporary)
        temporary.rename(folder)
    except BaseException:
        shutil.rmtree(temporary)


def newest(root):
    paths = [path for path in root.glob("step-*") if path.is_dir()]
    paths = [path for path in paths if path.name.removeprefix("step-").isdecimal()]
    return max(paths, key=lambda path: int(path.name[5:]), default=None)


# %% save-folder: fails if a killed run has left its temporary folder
# gets 1 of 4: a killed run has left a temporary folder with old.pt in it: it raised FileExists
def save_folder(folder, write):
    if folder.exists():
        raise FileExistsError(folder)
    temporary = folder.with_name(f"{folder.name}.tmp")
    temporary.mkdir()
    try:
        write(temporary)
        temporary.rename(folder)
    except BaseException:
        shutil.rmtree(temporary)
        raise


def newest(root):
    paths = [path for path in root.glob("step-*") if path.is_dir()]
    paths = [path for path in paths if path.name.removeprefix("step-").isdecimal()]
    return max(paths, key=lambda path: int(path.name[5:]), default=None)


# %% save-folder: writes into the folder that a killed run has left
# gets 1 of 4: found ['config.json', 'old.pt', 'tokenizer'
def save_folder(folder, write):
    if folder.exists():
        raise FileExistsError(folder)
    temporary = folder.with_name(f"{folder.name}.tmp")
    temporary.mkdir(exist_ok=True)
    try:
        write(temporary)
        temporary.rename(folder)
    except BaseException:
        shutil.rmtree(temporary)
        raise


def newest(root):
    paths = [path for path in root.glob("step-*") if path.is_dir()]
    paths = [path for path in paths if path.name.removeprefix("step-").isdecimal()]
    return max(paths, key=lambda path: int(path.name[5:]), default=None)


# %% save-folder: relies on the rename to refuse a name that exists
# gets 1 of 4: expected a FileExistsError before write is called, and it was called
def save_folder(folder, write):
    temporary = folder.with_name(f"{folder.name}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    try:
        write(temporary)
        temporary.rename(folder)
    except BaseException:
        shutil.rmtree(temporary)
        raise


def newest(root):
    paths = [path for path in root.glob("step-*") if path.is_dir()]
    paths = [path for path in paths if path.name.removeprefix("step-").isdecimal()]
    return max(paths, key=lambda path: int(path.name[5:]), default=None)


# %% save-folder: deletes the folder that exists
# gets 1 of 4: the folder exists, with a file in it: expected a FileExistsError before
def save_folder(folder, write):
    temporary = folder.with_name(f"{folder.name}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    try:
        write(temporary)
        if folder.exists():
            shutil.rmtree(folder)
        temporary.rename(folder)
    except BaseException:
        shutil.rmtree(temporary)
        raise


def newest(root):
    paths = [path for path in root.glob("step-*") if path.is_dir()]
    paths = [path for path in paths if path.name.removeprefix("step-").isdecimal()]
    return max(paths, key=lambda path: int(path.name[5:]), default=None)


# %% save-folder: replaces a folder that is empty
# gets 1 of 4: the folder exists, and is empty: expected a FileExistsError before write is called
def save_folder(folder, write):
    if folder.exists() and (folder.is_file() or any(folder.iterdir())):
        raise FileExistsError(folder)
    temporary = folder.with_name(f"{folder.name}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    try:
        write(temporary)
        temporary.rename(folder)
    except BaseException:
        shutil.rmtree(temporary)
        raise


def newest(root):
    paths = [path for path in root.glob("step-*") if path.is_dir()]
    paths = [path for path in paths if path.name.removeprefix("step-").isdecimal()]
    return max(paths, key=lambda path: int(path.name[5:]), default=None)


# %% save-folder: takes a file for the newest folder
# gets 1 of 4: a file called step-99: expected None as the newest
def save_folder(folder, write):
    if folder.exists():
        raise FileExistsError(folder)
    temporary = folder.with_name(f"{folder.name}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    try:
        write(temporary)
        temporary.rename(folder)
    except BaseException:
        shutil.rmtree(temporary)
        raise


def newest(root):
    paths = [path for path in root.glob("step-*") if path.name[5:].isdecimal()]
    return max(paths, key=lambda path: int(path.name[5:]), default=None)


# %% save-folder: raises an error if no folder is complete
# gets 1 of 4: an empty folder: newest raised ValueError(
def save_folder(folder, write):
    if folder.exists():
        raise FileExistsError(folder)
    temporary = folder.with_name(f"{folder.name}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    try:
        write(temporary)
        temporary.rename(folder)
    except BaseException:
        shutil.rmtree(temporary)
        raise


def newest(root):
    paths = [path for path in root.glob("step-*") if path.is_dir()]
    paths = [path for path in paths if path.name.removeprefix("step-").isdecimal()]
    return max(paths, key=lambda path: int(path.name[5:]))


# %% save-folder: reads every name as a number
# gets 1 of 4: newest raised ValueError("invalid literal for int() with base 10: 'best'")
def save_folder(folder, write):
    if folder.exists():
        raise FileExistsError(folder)
    temporary = folder.with_name(f"writing-{folder.name}")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    try:
        write(temporary)
        temporary.rename(folder)
    except BaseException:
        shutil.rmtree(temporary)
        raise


def newest(root):
    paths = [path for path in root.glob("step-*") if path.is_dir()]
    return max(paths, key=lambda path: int(path.name[5:]), default=None)


# %% save-folder: reads the digits at the beginning
# gets 1 of 4: 'step-10.old',
def save_folder(folder, write):
    if folder.exists():
        raise FileExistsError(folder)
    temporary = folder.with_name(f"writing-{folder.name}")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    try:
        write(temporary)
        temporary.rename(folder)
    except BaseException:
        shutil.rmtree(temporary)
        raise


def newest(root):
    import re

    found = {path: re.match(r"step-(\d+)", path.name) for path in root.iterdir() if path.is_dir()}
    steps = {int(match[1]): path for path, match in found.items() if match}
    return steps[max(steps)] if steps else None

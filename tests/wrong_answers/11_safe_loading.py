# %% unexpected: returns everything that the file asks for
# gets 0 of 2: honest.pt, with argparse.Namespace allowed: expected [], got ['argparse.Namespace']
def unexpected(path, allowed):
    return sorted(torch.serialization.get_unsafe_globals_in_checkpoint(path))


# %% unexpected: allows every name that begins with an allowed one
# gets 1 of 2: got ['builtins.exec']
def unexpected(path, allowed):
    wanted = torch.serialization.get_unsafe_globals_in_checkpoint(path)
    return sorted(name for name in wanted if not name.startswith(tuple(allowed)))


# %% unexpected: looks for the name in the text of the allowed ones
# gets 1 of 2: of which ['my.argparse.Namespace2'] is allowed: expected ['argparse.Namespace'
def unexpected(path, allowed):
    wanted = torch.serialization.get_unsafe_globals_in_checkpoint(path)
    return sorted(name for name in wanted if name not in str(allowed))


# %% unexpected: returns an empty list if there is no list
# gets 1 of 2: whose names cannot be listed: expected a ValueError, got []
def unexpected(path, allowed):
    try:
        wanted = torch.serialization.get_unsafe_globals_in_checkpoint(path)
    except ValueError:
        return []
    return sorted(set(wanted) - set(allowed))


# %% unexpected: reads the one name in the error message
# gets 1 of 2: expected ['builtins.exec', 'shutil.copyfile', 'torch.hub.load'], got [
def unexpected(path, allowed):
    try:
        with torch.serialization.safe_globals([argparse.Namespace]):
            torch.load(path)
    except pickle.UnpicklingError as error:
        name = str(error).partition("GLOBAL ")[2].partition(" ")[0]
        return [name if "." in name else f"builtins.{name}"]
    return []


# %% unexpected: loads the file to look at it
# gets 0 of 2: stranger.pt: the file was loaded, and its code ran
def unexpected(path, allowed):
    torch.load(path, weights_only=False)
    return sorted(set(torch.serialization.get_unsafe_globals_in_checkpoint(path)) - set(allowed))


# %% load-with-args: tries the safe way, then the unsafe way
# gets 0 of 3: stranger.pt asks for exec: expected an UnpicklingError; its code ran
def load_with_args(path):
    try:
        return torch.load(path, weights_only=True)
    except pickle.UnpicklingError:
        return torch.load(path, weights_only=False)


# %% load-with-args: tries the unsafe way if there is a Namespace in the file
# gets 0 of 3: a file whose Namespace contains a call of exec: the file's code ran
def load_with_args(path):
    try:
        return torch.load(path, weights_only=True)
    except pickle.UnpicklingError as error:
        if "argparse.Namespace" not in str(error):
            raise
        return torch.load(path, weights_only=False)


# %% load-with-args: allows a Namespace permanently
# gets 1 of 3: argparse.Namespace is still allowed
def load_with_args(path):
    torch.serialization.add_safe_globals([argparse.Namespace])
    return torch.load(path, weights_only=True)


# %% load-with-args: clears everything that was allowed
# gets 1 of 3: the program had allowed PurePath before
def load_with_args(path):
    torch.serialization.add_safe_globals([argparse.Namespace])
    try:
        return torch.load(path, weights_only=True)
    finally:
        torch.serialization.clear_safe_globals()


# %% load-with-args: relies on the default of weights_only
# gets 1 of 3: a file that asks for exec: the file's code ran
def load_with_args(path):
    with torch.serialization.safe_globals([argparse.Namespace]):
        return torch.load(path)


# %% load-with-args: allows whatever the file asks for
# gets 0 of 3: its code ran
def load_with_args(path):
    with torch.serialization.safe_globals([argparse.Namespace, exec]):
        return torch.load(path, weights_only=True)


# %% load-published: ignores the checksum
# gets 0 of 3: the checksum of another file: expected a ValueError, got {'weight'
def load_published(path, published):
    return torch.load(path, weights_only=True)


# %% load-published: is strict about case and spaces
# gets 1 of 3: with spaces and a line break around it: it raised ValueError
def load_published(path, published):
    if hashlib.sha256(Path(path).read_bytes()).hexdigest() != published:
        raise ValueError("another checksum")
    return torch.load(path, weights_only=True)


# %% load-published: accepts the beginning of the checksum
# gets 1 of 3: the first eight digits of the checksum: expected a ValueError
def load_published(path, published):
    found = hashlib.sha256(Path(path).read_bytes()).hexdigest()
    if not found.startswith(published.strip().lower()):
        raise ValueError("another checksum")
    return torch.load(path, weights_only=True)


# %% load-published: compares the first digits
# gets 1 of 3: a checksum that differs from the ninth digit on: expected a ValueError
def load_published(path, published):
    found = hashlib.sha256(Path(path).read_bytes()).hexdigest()
    published = published.strip().lower()
    if len(published) != 64 or published[:8] != found[:8]:
        raise ValueError(f"expected {published}, found {found}")
    return torch.load(path, weights_only=True)


# %% load-published: loads first
# gets 1 of 3: and the checksum of another file: expected a ValueError, got UnpicklingError
def load_published(path, published):
    state = torch.load(path, weights_only=True)
    if hashlib.sha256(Path(path).read_bytes()).hexdigest() != published.strip().lower():
        raise ValueError("another checksum")
    return state


# %% load-published: considers a file with the right checksum harmless
# gets 1 of 3: which does not make it harmless: the file's code ran
def load_published(path, published):
    if hashlib.sha256(Path(path).read_bytes()).hexdigest() != published.strip().lower():
        raise ValueError("another checksum")
    return torch.load(path, weights_only=False)


# %% load-published: compares with an assert
# gets 0 of 3: the checksum of another file: it raised AssertionError()
def load_published(path, published):
    found = hashlib.sha256(Path(path).read_bytes()).hexdigest()
    assert found == published.strip().lower()
    return torch.load(path, weights_only=True)


# %% plain: converts only the outermost values
# gets 0 of 4: torch.load refuses the result
def plain(value):
    kinds = {argparse.Namespace: vars, np.float32: float, np.float64: float}
    return {name: kinds.get(type(one), lambda x: x)(one) for name, one in value.items()}


# %% plain: tests for float before NumPy's float64, which is one
# gets 1 of 4: the new file still asks for [
def plain(value):
    if value is None or isinstance(value, torch.Tensor | bool | int | float | str):
        return value
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return torch.from_numpy(value)
    if isinstance(value, PurePath):
        return str(value)
    if isinstance(value, argparse.Namespace):
        return plain(vars(value))
    if isinstance(value, dict):
        return {plain(key): plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(plain(one) for one in value)
    raise TypeError(type(value).__name__)


# %% plain: leaves the keys
# gets 1 of 4: the new file still asks for [
def plain(value):
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return torch.from_numpy(value)
    if isinstance(value, PurePath):
        return str(value)
    if isinstance(value, argparse.Namespace):
        return plain(vars(value))
    if isinstance(value, dict):
        return {key: plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(plain(one) for one in value)
    if value is None or isinstance(value, torch.Tensor | bool | int | float | str):
        return value
    raise TypeError(type(value).__name__)


# %% plain: turns arrays and tuples into lists
# gets 1 of 4: best: expected (0.75, 'b', None), got [0.75, 'b', None]
def plain(value):
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    if isinstance(value, PurePath):
        return str(value)
    if isinstance(value, argparse.Namespace):
        return plain(vars(value))
    if isinstance(value, dict):
        return {plain(key): plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    if value is None or isinstance(value, torch.Tensor | bool | int | float | str):
        return value
    raise TypeError(type(value).__name__)


# %% plain: lets unknown types pass
# gets 1 of 4: a set in a list: expected a TypeError
def plain(value):
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return torch.from_numpy(value)
    if isinstance(value, PurePath):
        return str(value)
    if isinstance(value, argparse.Namespace):
        return plain(vars(value))
    if isinstance(value, dict):
        return {plain(key): plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(plain(one) for one in value)
    return value


# %% receive: builds whatever torch.nn contains
# gets 0 of 5: the architecture 'Identity': expected a ValueError, got Identity()
def receive(folder):
    config = json.loads(Path(folder, "config.json").read_text())
    name = {"linear": "Linear"}.get(config["architecture"], config["architecture"])
    kind = LeNet if name == "lenet" else getattr(nn, name)
    model = kind(**config["arguments"])
    model.load_state_dict(load_file(Path(folder) / "weights.safetensors"), strict=False)
    return model


# %% receive: evaluates the architecture
# gets 1 of 5: the sender's code ran
def receive(folder):
    found = sorted(path.name for path in folder.iterdir())
    if found != ["config.json", "weights.safetensors"]:
        raise ValueError(f"found {found}")
    config = json.loads((folder / "config.json").read_text())
    arguments = config["arguments"]
    if not isinstance(arguments, dict):
        raise ValueError(arguments)
    if any(type(value) is not int or name == "device" for name, value in arguments.items()):
        raise ValueError(arguments)
    try:
        kind, names = ARCHITECTURES.get(config["architecture"]) or eval(config["architecture"])
        if arguments.keys() != names:
            raise ValueError(arguments)
        with torch.device("meta"):
            model = kind(**arguments)
    except (NameError, TypeError) as error:
        raise ValueError(config) from error
    model.load_state_dict(load_file(folder / "weights.safetensors"), assign=True)
    return model


# %% receive: ignores other files
# gets 1 of 5: a third file, modeling.py: expected a ValueError
def receive(folder):
    config = json.loads(Path(folder, "config.json").read_text())
    if config["architecture"] not in ARCHITECTURES:
        raise ValueError(config["architecture"])
    model = ARCHITECTURES[config["architecture"]][0](**config["arguments"])
    model.load_state_dict(load_file(Path(folder) / "weights.safetensors"))
    return model


# %% receive: falls back to a pickle
# gets 1 of 5: a pickle that is named weights.safetensors: the sender's code ran
def receive(folder):
    if len(list(Path(folder).iterdir())) != 2 or Path(folder, "pytorch_model.bin").exists():
        raise ValueError("other files")
    config = json.loads(Path(folder, "config.json").read_text())
    if config["architecture"] not in ARCHITECTURES:
        raise ValueError(config["architecture"])
    with torch.device("meta"):
        model = ARCHITECTURES[config["architecture"]][0](**config["arguments"])
    weights = Path(folder) / "weights.safetensors"
    try:
        state_dict = load_file(weights)
    except Exception:
        import io

        state_dict = torch.load(io.BytesIO(weights.read_bytes()), weights_only=False)
    model.load_state_dict(state_dict, assign=True)
    return model


# %% receive: accepts weights that do not fit
# gets 1 of 5: weights without the bias: expected a RuntimeError, got Linear
def receive(folder):
    if {path.name for path in Path(folder).iterdir()} != {"config.json", "weights.safetensors"}:
        raise ValueError("other files")
    config = json.loads(Path(folder, "config.json").read_text())
    if config["architecture"] not in ARCHITECTURES:
        raise ValueError(config["architecture"])
    with torch.device("meta"):
        model = ARCHITECTURES[config["architecture"]][0](**config["arguments"])
    weights = load_file(Path(folder) / "weights.safetensors")
    model.load_state_dict(weights, assign=True, strict=False)
    return model


# %% receive: allocates the memory that the config claims
# gets 1 of 5: a config for 40 petabytes, with 12 bytes of weights: expected a RuntimeError
def receive(folder):
    if {path.name for path in Path(folder).iterdir()} != {"config.json", "weights.safetensors"}:
        raise ValueError("other files")
    config = json.loads(Path(folder, "config.json").read_text())
    if config["architecture"] not in ARCHITECTURES:
        raise ValueError(config["architecture"])
    model = ARCHITECTURES[config["architecture"]][0](**config["arguments"])
    model.load_state_dict(load_file(Path(folder) / "weights.safetensors"))
    return model


# %% receive: leaves the model on meta
# gets 0 of 5: Tensor on device meta is not on the expected device
def receive(folder):
    if {path.name for path in Path(folder).iterdir()} != {"config.json", "weights.safetensors"}:
        raise ValueError("other files")
    config = json.loads(Path(folder, "config.json").read_text())
    if config["architecture"] not in ARCHITECTURES:
        raise ValueError(config["architecture"])
    with torch.device("meta"):
        model = ARCHITECTURES[config["architecture"]][0](**config["arguments"])
    model.load_state_dict(load_file(Path(folder) / "weights.safetensors"))
    return model


# %% receive: lets the sender choose the device
# gets 1 of 5: 'device': 'cpu'}, for a linear layer: expected a ValueError, got Linear
def receive(folder):
    found = sorted(path.name for path in folder.iterdir())
    if found != ["config.json", "weights.safetensors"]:
        raise ValueError(f"found {found}")
    config = json.loads((folder / "config.json").read_text())
    if config["architecture"] not in ARCHITECTURES:
        raise ValueError(config["architecture"])
    with torch.device("meta"):
        model = ARCHITECTURES[config["architecture"]][0](**config["arguments"])
    model.load_state_dict(load_file(folder / "weights.safetensors"), assign=True)
    return model


# %% receive: checks the values and not the names of the arguments
# gets 1 of 5: 'device': 0}, for a linear layer: expected a ValueError
def receive(folder):
    found = sorted(path.name for path in folder.iterdir())
    if found != ["config.json", "weights.safetensors"]:
        raise ValueError(found)
    config = json.loads((folder / "config.json").read_text())
    if config["architecture"] not in list(ARCHITECTURES):
        raise ValueError(config["architecture"])
    if any(type(value) is not int for value in config["arguments"].values()):
        raise ValueError(config["arguments"])
    with torch.device("meta"):
        model = ARCHITECTURES[config["architecture"]][0](**config["arguments"])
    model.load_state_dict(load_file(folder / "weights.safetensors"), assign=True)
    return model

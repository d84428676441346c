# %% unexpected: gives all that the file asks for
# gets 0 of 2: the honest file asks only for argparse.Namespace, which is allowed
def unexpected(path, allowed):
    return sorted(torch.serialization.get_unsafe_globals_in_checkpoint(path))


# %% unexpected: takes what begins alike for allowed
# gets 1 of 2: torch.hub.load is not allowed by 'torch'
def unexpected(path, allowed):
    wanted = torch.serialization.get_unsafe_globals_in_checkpoint(path)
    return sorted(name for name in wanted if not name.startswith(tuple(allowed)))


# %% unexpected: an empty list for what has none
# gets 1 of 2: a legacy file has no list: expected a ValueError, and got []
def unexpected(path, allowed):
    try:
        wanted = torch.serialization.get_unsafe_globals_in_checkpoint(path)
    except ValueError:
        return []
    return sorted(set(wanted) - set(allowed))


# %% unexpected: reads the one name in the error
# gets 1 of 2: and three others
def unexpected(path, allowed):
    try:
        with torch.serialization.safe_globals([argparse.Namespace]):
            torch.load(path)
    except pickle.UnpicklingError as error:
        name = str(error).partition("GLOBAL ")[2].partition(" ")[0]
        return [name if "." in name else f"builtins.{name}"]
    return []


# %% unexpected: loads the file to look at it
# gets 0 of 2: the file was loaded, and its code has run
def unexpected(path, allowed):
    torch.load(path, weights_only=False)
    return sorted(set(torch.serialization.get_unsafe_globals_in_checkpoint(path)) - set(allowed))


# %% load-with-args: tries the safe way, and then the other
# gets 1 of 3: whether the safe way fails, it decides
def load_with_args(path):
    try:
        return torch.load(path, weights_only=True)
    except pickle.UnpicklingError:
        return torch.load(path, weights_only=False)


# %% load-with-args: tries the other way if there is a Namespace in it
# gets 1 of 3: whether the safe way fails, it decides
def load_with_args(path):
    try:
        return torch.load(path, weights_only=True)
    except pickle.UnpicklingError as error:
        if "argparse.Namespace" not in str(error):
            raise
        return torch.load(path, weights_only=False)


# %% load-with-args: allows it for good
# gets 1 of 3: argparse.Namespace is still allowed
def load_with_args(path):
    torch.serialization.add_safe_globals([argparse.Namespace])
    return torch.load(path, weights_only=True)


# %% load-with-args: relies on the default
# gets 1 of 3: only a load that says weights_only=True itself is safe from it
def load_with_args(path):
    with torch.serialization.safe_globals([argparse.Namespace]):
        return torch.load(path)


# %% load-with-args: allows whatever the file asks for
# gets 1 of 3: the file's code was run
def load_with_args(path):
    with torch.serialization.safe_globals([argparse.Namespace, exec]):
        return torch.load(path, weights_only=True)


# %% load-published: does not look at the checksum
# gets 1 of 3: of the file that one bit was changed in
def load_published(path, published):
    return torch.load(path, weights_only=True)


# %% load-published: compares letter for letter
# gets 1 of 3: ValueError: another checksum
def load_published(path, published):
    if hashlib.sha256(Path(path).read_bytes()).hexdigest() != published:
        raise ValueError("another checksum")
    return torch.load(path, weights_only=True)


# %% load-published: is content with the beginning
# gets 1 of 3: the checksum is cut off after eight digits; the file was loaded
def load_published(path, published):
    found = hashlib.sha256(Path(path).read_bytes()).hexdigest()
    if not found.startswith(published.strip().lower()):
        raise ValueError("another checksum")
    return torch.load(path, weights_only=True)


# %% load-published: loads first
# gets 1 of 3: a look into the stranger's file came first
def load_published(path, published):
    state = torch.load(path, weights_only=True)
    if hashlib.sha256(Path(path).read_bytes()).hexdigest() != published.strip().lower():
        raise ValueError("another checksum")
    return state


# %% load-published: takes the right checksum for harmless
# gets 1 of 3: not that it is harmless
def load_published(path, published):
    if hashlib.sha256(Path(path).read_bytes()).hexdigest() != published.strip().lower():
        raise ValueError("another checksum")
    return torch.load(path, weights_only=False)


# %% plain: makes only the outermost plain
# gets 1 of 4: the new file still asks for [
def plain(value):
    kinds = {argparse.Namespace: vars, np.float32: float, np.float64: float}
    return {name: kinds.get(type(one), lambda x: x)(one) for name, one in value.items()}


# %% plain: takes numpy's float for Python's
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


# %% plain: makes lists of arrays and tuples
# gets 1 of 4: best: expected (0.75, 'b', None), and got [0.75, 'b', None]
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


# %% plain: lets the unknown pass
# gets 1 of 4: a set in a list is not on the list of plain things
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


# %% receive: takes whatever torch.nn has
# gets 1 of 5: the architecture 'Identity' is not in the table
def receive(folder):
    config = json.loads(Path(folder, "config.json").read_text())
    name = {"linear": "Linear"}.get(config["architecture"], config["architecture"])
    kind = LeNet if name == "lenet" else getattr(nn, name)
    model = kind(**config["arguments"])
    model.load_state_dict(load_file(Path(folder) / "weights.safetensors"), strict=False)
    return model


# %% receive: evaluates the architecture
# gets 1 of 5: and its code was run
def receive(folder):
    config = json.loads(Path(folder, "config.json").read_text())
    name = config["architecture"]
    try:
        kind = ARCHITECTURES.get(name) or eval(name)
        model = kind(**config["arguments"])
    except (NameError, TypeError) as error:
        raise ValueError(name) from error
    model.load_state_dict(load_file(Path(folder) / "weights.safetensors"))
    return model


# %% receive: looks at no other files
# gets 1 of 5: there is a third file, modeling.py
def receive(folder):
    config = json.loads(Path(folder, "config.json").read_text())
    if config["architecture"] not in ARCHITECTURES:
        raise ValueError(config["architecture"])
    model = ARCHITECTURES[config["architecture"]](**config["arguments"])
    model.load_state_dict(load_file(Path(folder) / "weights.safetensors"))
    return model


# %% receive: falls back to a pickle
# gets 1 of 5: weights.safetensors is a pickle under another name: and its code was run
def receive(folder):
    if len(list(Path(folder).iterdir())) != 2 or Path(folder, "pytorch_model.bin").exists():
        raise ValueError("other files")
    config = json.loads(Path(folder, "config.json").read_text())
    if config["architecture"] not in ARCHITECTURES:
        raise ValueError(config["architecture"])
    with torch.device("meta"):
        model = ARCHITECTURES[config["architecture"]](**config["arguments"])
    weights = Path(folder) / "weights.safetensors"
    try:
        state_dict = load_file(weights)
    except Exception:
        import io

        state_dict = torch.load(io.BytesIO(weights.read_bytes()), weights_only=False)
    model.load_state_dict(state_dict, assign=True)
    return model


# %% receive: takes weights that do not fit
# gets 1 of 5: the bias is missing: expected an error (RuntimeError), and got a model
def receive(folder):
    if {path.name for path in Path(folder).iterdir()} != {"config.json", "weights.safetensors"}:
        raise ValueError("other files")
    config = json.loads(Path(folder, "config.json").read_text())
    if config["architecture"] not in ARCHITECTURES:
        raise ValueError(config["architecture"])
    with torch.device("meta"):
        model = ARCHITECTURES[config["architecture"]](**config["arguments"])
    weights = load_file(Path(folder) / "weights.safetensors")
    model.load_state_dict(weights, assign=True, strict=False)
    return model


# %% receive: gets the memory that the config claims
# gets 1 of 5: 40 petabytes are claimed and 12 bytes sent
def receive(folder):
    if {path.name for path in Path(folder).iterdir()} != {"config.json", "weights.safetensors"}:
        raise ValueError("other files")
    config = json.loads(Path(folder, "config.json").read_text())
    if config["architecture"] not in ARCHITECTURES:
        raise ValueError(config["architecture"])
    model = ARCHITECTURES[config["architecture"]](**config["arguments"])
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
        model = ARCHITECTURES[config["architecture"]](**config["arguments"])
    model.load_state_dict(load_file(Path(folder) / "weights.safetensors"))
    return model


# %% unexpected: looks for the name inside the allowed ones
# gets 1 of 2: my.argparse.Namespace2 is another name
def unexpected(path, allowed):
    wanted = torch.serialization.get_unsafe_globals_in_checkpoint(path)
    return sorted(name for name in wanted if name not in str(allowed))


# %% load-with-args: clears all that was allowed
# gets 1 of 3: the program had allowed PurePath before
def load_with_args(path):
    torch.serialization.add_safe_globals([argparse.Namespace])
    try:
        return torch.load(path, weights_only=True)
    finally:
        torch.serialization.clear_safe_globals()


# %% load-published: compares the first digits
# gets 1 of 3: another from the ninth digit on
def load_published(path, published):
    found = hashlib.sha256(Path(path).read_bytes()).hexdigest()
    published = published.strip().lower()
    if len(published) != 64 or published[:8] != found[:8]:
        raise ValueError(f"expected {published}, found {found}")
    return torch.load(path, weights_only=True)


# %% receive: lets the sender choose the device
# gets 1 of 5: the argument device='cpu' would have the memory taken
def receive(folder):
    found = sorted(path.name for path in folder.iterdir())
    if found != ["config.json", "weights.safetensors"]:
        raise ValueError(f"found {found}")
    config = json.loads((folder / "config.json").read_text())
    if config["architecture"] not in ARCHITECTURES:
        raise ValueError(config["architecture"])
    with torch.device("meta"):
        model = ARCHITECTURES[config["architecture"]](**config["arguments"])
    model.load_state_dict(load_file(folder / "weights.safetensors"), assign=True)
    return model


# %% receive: looks at the numbers and not at what they are for
# gets 1 of 5: the argument device=0 would have the memory taken
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
        model = ARCHITECTURES[config["architecture"]](**config["arguments"])
    model.load_state_dict(load_file(folder / "weights.safetensors"), assign=True)
    return model

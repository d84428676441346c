# %% kind-of: goes by the name of the file
# gets 0 of 3: the same file under another name: expected 'torch zip', got 'safetensors'
def kind_of(path):
    suffix = Path(path).suffix
    if suffix == ".safetensors":
        return "safetensors"
    return "torch zip" if suffix in (".pt", ".pth") else "other"


# %% kind-of: takes every zip archive for a checkpoint
# gets 0 of 3: a zip archive around a checkpoint: expected 'other', got 'torch zip'
def kind_of(path):
    content = Path(path).read_bytes()
    if content.startswith(b"PK\x03\x04"):
        return "torch zip"
    if content.startswith(pickle.dumps(torch.serialization.MAGIC_NUMBER, 2)):
        return "torch legacy"
    if content.startswith(b"version https://git-lfs.github.com/spec/"):
        return "git lfs pointer"
    if content.lower().startswith((b"<!doctype html", b"<html")):
        return "web page"
    return "safetensors" if content[8:9] == b"{" else "other"


# %% kind-of: loads the file to find out
# gets 1 of 3: a file of torch.save that names os.mkdir: kind_of loaded it
def kind_of(path):
    content = Path(path).read_bytes()
    try:
        with open(path, "rb") as file:
            torch.load(file, weights_only=False)
        return "torch zip" if zipfile.is_zipfile(path) else "torch legacy"
    except Exception:
        if content.startswith(b"version https://git-lfs.github.com/spec/"):
            return "git lfs pointer"
        if content.lstrip().lower().startswith((b"<!doctype html", b"<html")):
            return "web page"
        try:
            safe_open(path, framework="pt")
            return "safetensors"
        except SafetensorError:
            return "other"


# %% kind-of: looks for data.pkl in any folder
# gets 1 of 3: an archive with a/b/data.pkl: expected 'other', got 'torch zip'
def kind_of(path):
    start = Path(path).read_bytes()[:1024]
    if start.startswith(b"PK\x03\x04") and zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
        return "torch zip" if any(name.endswith("/data.pkl") for name in names) else "other"
    if start.startswith(pickle.dumps(torch.serialization.MAGIC_NUMBER, 2)):
        return "torch legacy"
    if start.startswith(b"version https://git-lfs.github.com/spec/"):
        return "git lfs pointer"
    if start.lstrip().lower().startswith((b"<!doctype html", b"<html")):
        return "web page"
    length = int.from_bytes(start[:8], "little")
    is_whole = 8 + length <= Path(path).stat().st_size
    return "safetensors" if is_whole and start[8 : 8 + length].startswith(b"{") else "other"


# %% kind-of: relies on is_zipfile
# gets 1 of 3: a zip archive whose list of entries is damaged: it raised BadZipFile
def kind_of(path):
    start = Path(path).read_bytes()[:1024]
    if start.startswith(b"PK\x03\x04") and zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            found = [name for name in archive.namelist() if name.endswith("/data.pkl")]
        return "torch zip" if any(name.count("/") == 1 for name in found) else "other"
    if start.startswith(pickle.dumps(torch.serialization.MAGIC_NUMBER, 2)):
        return "torch legacy"
    if start.startswith(b"version https://git-lfs.github.com/spec/"):
        return "git lfs pointer"
    if start.lstrip().lower().startswith((b"<!doctype html", b"<html")):
        return "web page"
    length = int.from_bytes(start[:8], "little")
    is_whole = 8 + length <= Path(path).stat().st_size
    return "safetensors" if is_whole and start[8 : 8 + length].startswith(b"{") else "other"


# %% kind-of: finds the end of an archive in a tar archive
# gets 1 of 3: a tar archive around a checkpoint: expected 'other', got 'torch zip'
def kind_of(path):
    start = Path(path).read_bytes()[:1024]
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            found = [name for name in archive.namelist() if name.endswith("/data.pkl")]
        return "torch zip" if any(name.count("/") == 1 for name in found) else "other"
    if start.startswith(pickle.dumps(torch.serialization.MAGIC_NUMBER, 2)):
        return "torch legacy"
    if start.startswith(b"version https://git-lfs.github.com/spec/"):
        return "git lfs pointer"
    if start.lstrip().lower().startswith((b"<!doctype html", b"<html")):
        return "web page"
    length = int.from_bytes(start[:8], "little")
    is_whole = 8 + length <= Path(path).stat().st_size
    return "safetensors" if is_whole and start[8 : 8 + length].startswith(b"{") else "other"


# %% kind-of: recognises safetensors by one character
# gets 1 of 3: a safetensors file that ends in the header: expected 'other', got 'safetensors'
def kind_of(path):
    start = Path(path).read_bytes()[:1024]
    if start.startswith(b"PK\x03\x04") and zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            found = [name for name in archive.namelist() if name.endswith("/data.pkl")]
        return "torch zip" if any(name.count("/") == 1 for name in found) else "other"
    if start.startswith(pickle.dumps(torch.serialization.MAGIC_NUMBER, 2)):
        return "torch legacy"
    if start.startswith(b"version https://git-lfs.github.com/spec/"):
        return "git lfs pointer"
    if start.lstrip().lower().startswith((b"<!doctype html", b"<html")):
        return "web page"
    return "safetensors" if start[8:9] == b"{" else "other"


# %% kind-of: knows one spelling of a web page
# gets 1 of 3: a web page in small letters, after an empty line: expected 'web page', got 'other'
def kind_of(path):
    start = Path(path).read_bytes()[:1024]
    if start.startswith(b"PK\x03\x04") and zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            found = [name for name in archive.namelist() if name.endswith("/data.pkl")]
        return "torch zip" if any(name.count("/") == 1 for name in found) else "other"
    if start.startswith(pickle.dumps(torch.serialization.MAGIC_NUMBER, 2)):
        return "torch legacy"
    if start.startswith(b"version https://git-lfs.github.com/spec/"):
        return "git lfs pointer"
    if start.startswith((b"<!DOCTYPE html", b"<html")):
        return "web page"
    length = int.from_bytes(start[:8], "little")
    is_whole = 8 + length <= Path(path).stat().st_size
    return "safetensors" if is_whole and start[8 : 8 + length].startswith(b"{") else "other"


# %% kind-of: looks for a web page in the first bytes only
# gets 1 of 3: a web page after 1,000 spaces: expected 'web page', got 'other'
def kind_of(path):
    start = Path(path).read_bytes()[:512]
    if start.startswith(b"PK\x03\x04"):
        with suppress(zipfile.BadZipFile), zipfile.ZipFile(path) as archive:
            is_saved = any(re.fullmatch("[^/]+/data[.]pkl", name) for name in archive.namelist())
            return "torch zip" if is_saved else "other"
    if start.startswith(pickle.dumps(torch.serialization.MAGIC_NUMBER, 2)):
        return "torch legacy"
    if start.startswith(b"version https://git-lfs.github.com/spec/"):
        return "git lfs pointer"
    if start.lstrip().lower().startswith((b"<!doctype html", b"<html")):
        return "web page"
    length = int.from_bytes(start[:8], "little")
    is_whole = 8 + length <= Path(path).stat().st_size
    return "safetensors" if is_whole and start[8 : 8 + length].startswith(b"{") else "other"


# %% missing-parts: asks only whether each file exists
# gets 0 of 3: lacks its last number, and model-00003-of-00003.safetensors is missing: expected
def missing_parts(folder):
    index = json.loads(Path(folder, "model.safetensors.index.json").read_text("utf-8"))
    parts = sorted(set(index["weight_map"].values()))
    return [name for name in parts if not Path(folder, name).is_file()]


# %% missing-parts: stops at the first file
# gets 0 of 3: got ['model-00001-of-00003.safetensors']
def missing_parts(folder):
    index = json.loads(Path(folder, "model.safetensors.index.json").read_text("utf-8"))
    for name in sorted(set(index["weight_map"].values())):
        try:
            with safe_open(Path(folder, name), framework="pt"):
                pass
        except (FileNotFoundError, SafetensorError):
            return [name]
    return []


# %% missing-parts: looks in the working directory
# gets 0 of 3: got ['model-00001-of-00003.safetensors', 'model-00002-of-00003.safetensors'
def missing_parts(folder):
    index = json.loads(Path(folder, "model.safetensors.index.json").read_text("utf-8"))
    missing = []
    for name in sorted(set(index["weight_map"].values())):
        try:
            with safe_open(name, framework="pt"):
                pass
        except (FileNotFoundError, SafetensorError):
            missing.append(name)
    return missing


# %% missing-parts: goes by the files in the folder
# gets 0 of 3: got ['model-00001-of-00003.safetensors']
def missing_parts(folder):
    missing = []
    for path in sorted(Path(folder).glob("*.safetensors")):
        try:
            with safe_open(path, framework="pt"):
                pass
        except SafetensorError:
            missing.append(path.name)
    return missing


# %% missing-parts: trusts the first eight bytes
# gets 1 of 3: it is empty: it raised JSONDecodeError
def missing_parts(folder):
    index = json.loads(Path(folder, "model.safetensors.index.json").read_text("utf-8"))
    missing = []
    for name in sorted(set(index["weight_map"].values())):
        path = Path(folder, name)
        if not path.is_file():
            missing.append(name)
            continue
        content = path.read_bytes()
        length = int.from_bytes(content[:8], "little")
        header = json.loads(content[8 : 8 + length])
        header.pop("__metadata__", None)
        end = max(entry["data_offsets"][1] for entry in header.values())
        if len(content) != 8 + length + end:
            missing.append(name)
    return missing


# %% missing-parts: does not compare the names of the tensors
# gets 1 of 3: it contains the tensors of another part: expected
def missing_parts(folder):
    index = json.loads(Path(folder, "model.safetensors.index.json").read_text("utf-8"))
    missing = []
    for name in sorted(set(index["weight_map"].values())):
        try:
            with safe_open(Path(folder, name), framework="pt"):
                pass
        except (FileNotFoundError, SafetensorError):
            missing.append(name)
    return missing


# %% missing-parts: lists a file for each tensor, in the order of the index
# gets 1 of 3: expected ['x.safetensors', 'z.safetensors'], got ['z.safetensors', 'x.safetensors'
def missing_parts(folder):
    index = json.loads(Path(folder, "model.safetensors.index.json").read_text("utf-8"))
    missing = []
    for tensor, name in index["weight_map"].items():
        try:
            with safe_open(Path(folder, name), framework="pt") as file:
                file.get_tensor(tensor)
        except (FileNotFoundError, SafetensorError):
            missing.append(name)
    return missing


# %% load-plain: allows the classes themselves
# gets 0 of 4: a path of Linux, one of Windows, and a history: it raised
def load_plain(path):
    classes = [argparse.Namespace, PosixPath, WindowsPath, defaultdict, list]
    with torch.serialization.safe_globals(classes):
        loaded = torch.load(path)
    loaded["args"] = vars(loaded["args"])
    return loaded


# %% load-plain: falls back to weights_only=False
# gets 0 of 4: a path of Linux, one of Windows, and a history: it raised NotImplementedError
def load_plain(path):
    try:
        return torch.load(path)
    except pickle.UnpicklingError:
        return torch.load(path, weights_only=False)


# %% load-plain: keeps the Namespace
# gets 0 of 4: 'args': Namespace(lr=0.1, batch_size=64)
def load_plain(path):
    allowed = [argparse.Namespace, int, float, list, dict]
    allowed.append((lambda factory=None: {}, "collections.defaultdict"))
    for module in ("pathlib", "pathlib._local"):
        allowed.append((lambda *parts: PurePosixPath(*parts).as_posix(), f"{module}.PosixPath"))
        allowed.append((lambda *parts: PureWindowsPath(*parts).as_posix(), f"{module}.WindowsPath"))
    with torch.serialization.safe_globals(allowed):
        return torch.load(path)


# %% load-plain: replaces the path classes, and allows everything else
# gets 1 of 4: so that its code was run
class Unpickler(pickle.Unpickler):
    def find_class(self, module, name):
        if module.startswith("pathlib"):
            pure = PurePosixPath if name == "PosixPath" else PureWindowsPath
            return lambda *parts: pure(*parts).as_posix()
        return super().find_class(module, name)


def load_plain(path):
    reader = argparse.Namespace(Unpickler=Unpickler, __name__="reader")
    return plain(torch.load(path, pickle_module=reader, weights_only=False))


def plain(value):
    value = vars(value) if isinstance(value, argparse.Namespace) else value
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return type(value)(map(plain, value)) if isinstance(value, list | tuple) else value


# %% load-plain: allows every name in the file
# gets 1 of 4: a Fraction, which is not on the list: expected an UnpicklingError, got
def load_plain(path):
    import importlib

    names = torch.serialization.get_unsafe_globals_in_checkpoint(path)
    allowed = [(lambda factory=None: {}, "collections.defaultdict")]
    for name in set(names) - {"collections.defaultdict"}:
        module, _, attribute = name.rpartition(".")
        if module.startswith("pathlib"):
            pure = PurePosixPath if attribute == "PosixPath" else PureWindowsPath
            allowed.append((lambda *parts, pure=pure: pure(*parts).as_posix(), name))
        else:
            allowed.append((getattr(importlib.import_module(module), attribute), name))
    with torch.serialization.safe_globals(allowed):
        return plain(torch.load(path))


def plain(value):
    value = vars(value) if isinstance(value, argparse.Namespace) else value
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return type(value)(map(plain, value)) if isinstance(value, list | tuple) else value


# %% load-plain: allows the names for the rest of the process
# gets 0 of 4: a path of Linux, one of Windows, and a history: after the call, torch.load should not
def load_plain(path):
    allowed = [argparse.Namespace, int, float, list, dict]
    allowed.append((lambda factory=None: {}, "collections.defaultdict"))
    for module in ("pathlib", "pathlib._local"):
        allowed.append((lambda *parts: PurePosixPath(*parts).as_posix(), f"{module}.PosixPath"))
        allowed.append((lambda *parts: PureWindowsPath(*parts).as_posix(), f"{module}.WindowsPath"))
    torch.serialization.add_safe_globals(allowed)
    return plain(torch.load(path))


def plain(value):
    value = vars(value) if isinstance(value, argparse.Namespace) else value
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return type(value)(map(plain, value)) if isinstance(value, list | tuple) else value


# %% load-plain: joins the parts of a path with slashes
# gets 1 of 4: a WindowsPath: expected
def load_plain(path):
    allowed = [argparse.Namespace, int, float, list, dict]
    allowed.append((lambda factory=None: {}, "collections.defaultdict"))
    for module in ("pathlib", "pathlib._local"):
        allowed.append((lambda *parts: "/".join(parts), f"{module}.PosixPath"))
        allowed.append((lambda *parts: "/".join(parts), f"{module}.WindowsPath"))
    with torch.serialization.safe_globals(allowed):
        return plain(torch.load(path))


def plain(value):
    if isinstance(value, argparse.Namespace):
        return plain(vars(value))
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return type(value)(map(plain, value)) if isinstance(value, list | tuple) else value


# %% load-plain: converts only the values of the outer dict
# gets 1 of 4: a Namespace in a Namespace: expected
def load_plain(path):
    allowed = [argparse.Namespace, int, float, list, dict]
    allowed.append((lambda factory=None: {}, "collections.defaultdict"))
    for module in ("pathlib", "pathlib._local"):
        allowed.append((lambda *parts: PurePosixPath(*parts).as_posix(), f"{module}.PosixPath"))
        allowed.append((lambda *parts: PureWindowsPath(*parts).as_posix(), f"{module}.WindowsPath"))
    with torch.serialization.safe_globals(allowed):
        loaded = torch.load(path)
    if not isinstance(loaded, dict):
        return vars(loaded) if isinstance(loaded, argparse.Namespace) else loaded
    return {
        key: vars(value) if isinstance(value, argparse.Namespace) else value
        for key, value in loaded.items()
    }


# %% load-plain: leaves the paths and defaultdict allowed
# gets 0 of 4: a path of Linux, one of Windows, and a history: after the call, torch.load should not
def load_plain(path):
    allowed = []
    allowed.append((lambda factory=None: {}, "collections.defaultdict"))
    for module in ("pathlib", "pathlib._local"):
        allowed.append((lambda *parts: PurePosixPath(*parts).as_posix(), f"{module}.PosixPath"))
        allowed.append((lambda *parts: PureWindowsPath(*parts).as_posix(), f"{module}.WindowsPath"))
    torch.serialization.add_safe_globals(allowed)
    with torch.serialization.safe_globals([argparse.Namespace, int, float, list, dict]):
        return plain(torch.load(path))


def plain(value):
    value = vars(value) if isinstance(value, argparse.Namespace) else value
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return type(value)(map(plain, value)) if isinstance(value, list | tuple) else value


# %% load-plain: allows the names when it is defined
# gets 1 of 4: after the calls of load_plain, torch.load should still refuse 'a WindowsPath'
allowed = []
for module in ("pathlib", "pathlib._local"):
    allowed.append((lambda *parts: PurePosixPath(*parts).as_posix(), f"{module}.PosixPath"))
    allowed.append((lambda *parts: PureWindowsPath(*parts).as_posix(), f"{module}.WindowsPath"))
torch.serialization.add_safe_globals(allowed)


def load_plain(path):
    allowed = [argparse.Namespace, int, float, list, dict]
    allowed.append((lambda factory=None: {}, "collections.defaultdict"))
    with torch.serialization.safe_globals(allowed):
        return plain(torch.load(path))


def plain(value):
    value = vars(value) if isinstance(value, argparse.Namespace) else value
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return type(value)(map(plain, value)) if isinstance(value, list | tuple) else value


# %% load-plain: removes the names only if the file can be loaded
# gets 1 of 4: a call of os.mkdir beside a Namespace: after the call, torch.load should not
def load_plain(path):
    before = torch.serialization.get_safe_globals()
    allowed = [argparse.Namespace, int, float, list, dict]
    allowed.append((lambda factory=None: {}, "collections.defaultdict"))
    for module in ("pathlib", "pathlib._local"):
        allowed.append((lambda *parts: PurePosixPath(*parts).as_posix(), f"{module}.PosixPath"))
        allowed.append((lambda *parts: PureWindowsPath(*parts).as_posix(), f"{module}.WindowsPath"))
    torch.serialization.add_safe_globals(allowed)
    loaded = torch.load(path)
    torch.serialization.clear_safe_globals()
    torch.serialization.add_safe_globals(before)
    return plain(loaded)


def plain(value):
    value = vars(value) if isinstance(value, argparse.Namespace) else value
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return type(value)(map(plain, value)) if isinstance(value, list | tuple) else value


# %% load-plain: removes all names that were allowed
# gets 1 of 4: if torch.load allows a Fraction before the call, it should do so afterwards
def load_plain(path):
    allowed = [argparse.Namespace, int, float, list, dict]
    allowed.append((lambda factory=None: {}, "collections.defaultdict"))
    for module in ("pathlib", "pathlib._local"):
        allowed.append((lambda *parts: PurePosixPath(*parts).as_posix(), f"{module}.PosixPath"))
        allowed.append((lambda *parts: PureWindowsPath(*parts).as_posix(), f"{module}.WindowsPath"))
    torch.serialization.add_safe_globals(allowed)
    try:
        return plain(torch.load(path))
    finally:
        torch.serialization.clear_safe_globals()


def plain(value):
    value = vars(value) if isinstance(value, argparse.Namespace) else value
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return type(value)(map(plain, value)) if isinstance(value, list | tuple) else value


# %% load-plain: keeps an OrderedDict and a Counter
# gets 1 of 4: an OrderedDict: expected
def load_plain(path):
    allowed = [argparse.Namespace, int, float, list, dict]
    allowed.append((lambda factory=None: {}, "collections.defaultdict"))
    for module in ("pathlib", "pathlib._local"):
        allowed.append((lambda *parts: PurePosixPath(*parts).as_posix(), f"{module}.PosixPath"))
        allowed.append((lambda *parts: PureWindowsPath(*parts).as_posix(), f"{module}.WindowsPath"))
    with torch.serialization.safe_globals(allowed):
        return plain(torch.load(path))


def plain(value):
    value = vars(value) if isinstance(value, argparse.Namespace) else value
    if isinstance(value, dict):
        return type(value)((key, plain(item)) for key, item in value.items())
    return type(value)(map(plain, value)) if isinstance(value, list | tuple) else value


# %% load-plain: does not convert keys
# gets 1 of 4: a path as a key: expected
def load_plain(path):
    allowed = [argparse.Namespace, int, float, list, dict]
    allowed.append((lambda factory=None: {}, "collections.defaultdict"))
    for module in ("pathlib", "pathlib._local"):
        allowed.append((PurePosixPath, f"{module}.PosixPath"))
        allowed.append((PureWindowsPath, f"{module}.WindowsPath"))
    with torch.serialization.safe_globals(allowed):
        return plain(torch.load(path))


def plain(value):
    if isinstance(value, PurePosixPath | PureWindowsPath):
        return value.as_posix()
    value = vars(value) if isinstance(value, argparse.Namespace) else value
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return type(value)(map(plain, value)) if isinstance(value, list | tuple) else value

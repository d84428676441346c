# %% code-needed: returns every name that torch.load refuses
# gets 0 of 2: code_needed returned ['nets.Block', 'nets.Net', 'torch.nn.modules.linear.Linear']
def code_needed(path):
    return sorted(torch.serialization.get_unsafe_globals_in_checkpoint(path))


# %% code-needed: leaves out every name that begins with torch
# gets 1 of 2: which is not part of PyTorch: expected ['torchnets.Block', 'torchnets.Net'], got []
def code_needed(path):
    names = torch.serialization.get_unsafe_globals_in_checkpoint(path)
    return sorted(name for name in names if not name.startswith("torch"))


# %% code-needed: loads the model to look at its modules
# gets 0 of 2: No module named 'nets'
def code_needed(path):
    model = torch.load(path, weights_only=False)
    kinds = {type(module) for module in model.modules()}
    names = [f"{kind.__module__}.{kind.__qualname__}" for kind in kinds]
    return sorted(name for name in names if not name.startswith("torch."))


# %% code-needed: reads the error message, which contains one name
# gets 0 of 2: the file needs ['nets.Block', 'nets.Net'], and code_needed returned ['nets.Net']
def code_needed(path):
    try:
        torch.load(path)
    except pickle.UnpicklingError as error:
        return [str(error).partition("GLOBAL ")[2].split()[0]]
    return []


# %% code-needed: leaves out what is part of Python
# gets 1 of 2: and a call of eval: expected ['builtins.eval', 'helpers.models.Encoder'
def code_needed(path):
    names = torch.serialization.get_unsafe_globals_in_checkpoint(path)
    return sorted(n for n in names if not n.startswith(("torch.", "builtins.", "__builtin__.")))


# %% rescue: trusts every file
# gets 0 of 3: which is not in classes: expected an UnpicklingError, and none came
def rescue(entire, weights, classes):
    model = torch.load(entire, weights_only=False)
    torch.save(model.state_dict(), weights)


# %% rescue: tries the safe way, then the other
# gets 0 of 3: which is not in classes: expected an UnpicklingError, and none came
def rescue(entire, weights, classes):
    with torch.serialization.safe_globals(classes):
        try:
            model = torch.load(entire)
        except pickle.UnpicklingError:
            model = torch.load(entire, weights_only=False)
    torch.save(model.state_dict(), weights)


# %% rescue: allows the classes permanently
# gets 1 of 3: afterwards, these are still allowed for every later load
def rescue(entire, weights, classes):
    torch.serialization.add_safe_globals(classes)
    torch.save(torch.load(entire).state_dict(), weights)


# %% rescue: allows the classes permanently if the load fails
# gets 1 of 3: and is refused: afterwards, these are still allowed for every later load
def rescue(entire, weights, classes):
    before = torch.serialization.get_safe_globals()
    torch.serialization.add_safe_globals(classes)
    model = torch.load(entire)
    torch.serialization.clear_safe_globals()
    torch.serialization.add_safe_globals(before)
    torch.save(model.state_dict(), weights)


# %% rescue: removes what the program had allowed
# gets 1 of 3: nn.GELU, which was allowed before the call, is no longer allowed
def rescue(entire, weights, classes):
    torch.serialization.add_safe_globals(classes)
    try:
        model = torch.load(entire)
    finally:
        torch.serialization.clear_safe_globals()
    torch.save(model.state_dict(), weights)


# %% rescue: saves the model again
# gets 0 of 3: the file weights holds more than a state dict
def rescue(entire, weights, classes):
    with torch.serialization.safe_globals(classes):
        torch.save(torch.load(entire), weights)


# %% rescue: saves the parameters and forgets the buffers
# gets 1 of 3: 1.running_mean was not saved
def rescue(entire, weights, classes):
    with torch.serialization.safe_globals(classes):
        model = torch.load(entire)
    torch.save(dict(model.named_parameters()), weights)


# %% rescue: allows whatever the file asks for
# gets 0 of 3: which is not in classes: expected an UnpicklingError, and none came
def rescue(entire, weights, classes):
    import importlib

    asked = []
    for name in torch.serialization.get_unsafe_globals_in_checkpoint(entire):
        module, _, last = name.rpartition(".")
        asked.append(getattr(importlib.import_module(module), last))
    with torch.serialization.safe_globals(asked):
        model = torch.load(entire)
    torch.save(model.state_dict(), weights)


# %% rescue: opens the new file first
# gets 1 of 3: the older weights are overwritten
def rescue(entire, weights, classes):
    with open(weights, "wb") as file, torch.serialization.safe_globals(classes):
        torch.save(torch.load(entire).state_dict(), file)


# %% load-moved: allows the new classes under their new names
# gets 0 of 4: GLOBAL nets.Net was not an allowed global
def load_moved(path, moved):
    with torch.serialization.safe_globals([*moved.values(), nn.Linear]):
        return torch.load(path)


# %% load-moved: has the pair the wrong way round
# gets 0 of 4: Expected second item in tuple to be str of callable full path
def load_moved(path, moved):
    with torch.serialization.safe_globals([*moved.items(), nn.Linear]):
        return torch.load(path)


# %% load-moved: forgets PyTorch's own layers
# gets 0 of 4: GLOBAL torch.nn.modules.linear.Linear was not an allowed global
def load_moved(path, moved):
    with torch.serialization.safe_globals([(today, old) for old, today in moved.items()]):
        return torch.load(path)


# %% load-moved: allows one of PyTorch's layers
# gets 1 of 4: was not an allowed global
def load_moved(path, moved):
    pairs = [(today, old) for old, today in moved.items()]
    with torch.serialization.safe_globals([*pairs, nn.Linear]):
        return torch.load(path)


# %% load-moved: allows everything in PyTorch
# gets 1 of 4: torch.manual_seed was called when it was loaded
def load_moved(path, moved):
    import importlib

    allowed = [(today, old) for old, today in moved.items()]
    for name in torch.serialization.get_unsafe_globals_in_checkpoint(path):
        if name.startswith("torch."):
            module, _, last = name.rpartition(".")
            allowed.append(getattr(importlib.import_module(module), last))
    with torch.serialization.safe_globals(allowed):
        return torch.load(path)


# %% load-moved: allows everything in torch.nn
# gets 1 of 4: a file that asks for torch.nn.functional.relu, which is not a class
def load_moved(path, moved):
    import importlib

    allowed = [(today, old) for old, today in moved.items()]
    for name in torch.serialization.get_unsafe_globals_in_checkpoint(path):
        if name.startswith("torch.nn."):
            module, _, last = name.rpartition(".")
            allowed.append(getattr(importlib.import_module(module), last))
    with torch.serialization.safe_globals(allowed):
        return torch.load(path)


# %% load-moved: restores the old module and trusts the file
# gets 1 of 4: torch.manual_seed was called when it was loaded
def load_moved(path, moved):
    from types import ModuleType

    for old, today in moved.items():
        module, _, name = old.rpartition(".")
        setattr(sys.modules.setdefault(module, ModuleType(module)), name, today)
    return torch.load(path, weights_only=False)


# %% old-files: adds the attribute and forgets the layer
# gets 0 of 4: 'Net' object has no attribute 'head'
class Net(nn.Module):
    def __init__(self, scale=1.0):
        super().__init__()
        self.block = Residual()
        self.head = nn.Linear(4, 2)
        self.scale = scale

    def forward(self, x):
        return self.head(self.scale * self.block(x))

    def __setstate__(self, state):
        super().__setstate__({"scale": 1.0} | state)


# %% old-files: does not call the __setstate__ of nn.Module
# gets 0 of 4: object has no attribute
class Net(nn.Module):
    def __init__(self, scale=1.0):
        super().__init__()
        self.block = Residual()
        self.head = nn.Linear(4, 2)
        self.scale = scale

    def forward(self, x):
        return self.head(self.scale * self.block(x))

    def __setstate__(self, state):
        self.scale = state.get("scale", 1.0)


# %% old-files: updates __dict__ itself
# gets 1 of 4: they are still missing; the __setstate__ of nn.Module would add them
class Net(nn.Module):
    def __init__(self, scale=1.0):
        super().__init__()
        self.block = Residual()
        self.head = nn.Linear(4, 2)
        self.scale = scale

    def forward(self, x):
        return self.head(self.scale * self.block(x))

    def __setstate__(self, state):
        self.__dict__.update(state)
        if not hasattr(self, "scale"):
            self.scale = 1.0
        if hasattr(self, "out"):
            self.head = self.out
            del self.out


# %% old-files: overwrites the scale of today's models
# gets 1 of 4: after saving and loading, its scale is 1.0
class Net(nn.Module):
    def __init__(self, scale=1.0):
        super().__init__()
        self.block = Residual()
        self.head = nn.Linear(4, 2)
        self.scale = scale

    def forward(self, x):
        return self.head(self.scale * self.block(x))

    def __setstate__(self, state):
        super().__setstate__(state)
        self.scale = 1.0
        if hasattr(self, "out"):
            self.head = self.out
            del self.out


# %% old-files: keeps the layer under both names
# gets 1 of 4: it should have the keys
class Net(nn.Module):
    def __init__(self, scale=1.0):
        super().__init__()
        self.block = Residual()
        self.head = nn.Linear(4, 2)
        self.scale = scale

    def forward(self, x):
        return self.head(self.scale * self.block(x))

    def __setstate__(self, state):
        super().__setstate__(state)
        self.scale = getattr(self, "scale", 1.0)
        self.head = getattr(self, "out", None) or self.head


# %% old-files: builds a new model, whose weights are random
# gets 0 of 4: and now gives
class Net(nn.Module):
    def __init__(self, scale=1.0):
        super().__init__()
        self.block = Residual()
        self.head = nn.Linear(4, 2)
        self.scale = scale

    def forward(self, x):
        return self.head(self.scale * self.block(x))

    def __setstate__(self, state):
        self.__init__()

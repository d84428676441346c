# %% scale-schedule: sets the rate of the groups only
# gets 0 of 4: LambdaLR, epoch 1 after the resume: expected the rates
def scale_schedule(optimizer, scheduler, factor):
    for group in optimizer.param_groups:
        group["lr"] *= factor
        group["initial_lr"] *= factor


# %% scale-schedule: scales the base rates only
# gets 0 of 4: StepLR, epoch 0 after the resume: expected the rates
def scale_schedule(optimizer, scheduler, factor):
    for group in optimizer.param_groups:
        group["initial_lr"] *= factor
    scheduler.base_lrs = [rate * factor for rate in scheduler.base_lrs]


# %% scale-schedule: forgets initial_lr
# gets 0 of 4: StepLR: expected the initial rates
def scale_schedule(optimizer, scheduler, factor):
    for group in optimizer.param_groups:
        group["lr"] *= factor
    scheduler.base_lrs = [rate * factor for rate in scheduler.base_lrs]


# %% scale-schedule: expects base_lrs in every scheduler
# gets 1 of 4: SequentialLR with one group: it raised AttributeError
def scale_schedule(optimizer, scheduler, factor):
    for group in optimizer.param_groups:
        group["lr"] *= factor
        group["initial_lr"] *= factor
    scheduler.base_lrs = [rate * factor for rate in scheduler.base_lrs]


# %% scale-schedule: changes the first group only
# gets 1 of 4: MultiStepLR with three groups: expected the initial rates
def scale_schedule(optimizer, scheduler, factor):
    optimizer.param_groups[0]["lr"] *= factor
    optimizer.param_groups[0]["initial_lr"] *= factor
    for part in getattr(scheduler, "_schedulers", [scheduler]):
        part.base_lrs = [rate * factor for rate in part.base_lrs]


# %% scale-schedule: scales one part of a SequentialLR
# gets 1 of 4: SequentialLR with one group, epoch
def scale_schedule(optimizer, scheduler, factor):
    for group in optimizer.param_groups:
        group["lr"] *= factor
        group["initial_lr"] *= factor
    part = getattr(scheduler, "_schedulers", [scheduler])[0]
    part.base_lrs = [rate * factor for rate in part.base_lrs]


# %% scale-schedule: computes the base rates from the current ones
# gets 0 of 4: LambdaLR, epoch 1 after the resume: expected the rates
def scale_schedule(optimizer, scheduler, factor):
    for group in optimizer.param_groups:
        group["lr"] *= factor
        group["initial_lr"] *= factor
    for part in getattr(scheduler, "_schedulers", [scheduler]):
        part.base_lrs = [group["lr"] for group in optimizer.param_groups]


# %% tagger: cannot load an older file
# gets 0 of 3: an older file: it raised RuntimeError
class Tagger(nn.Module):
    def __init__(self, labels=()):
        super().__init__()
        self.labels = list(labels)
        self.fc = nn.Linear(2, 2)

    def get_extra_state(self):
        return list(self.labels)

    def set_extra_state(self, state):
        self.labels = list(state)


# %% tagger: saves no labels
# gets 0 of 3: a new file: expected the labels ['cat', 'dog'], got []
class Tagger(nn.Module):
    def __init__(self, labels=()):
        super().__init__()
        self.labels = list(labels)
        self.fc = nn.Linear(2, 2)


# %% tagger: forgets the prefix
# gets 1 of 3: an older file of a Tagger inside a model
class Tagger(nn.Module):
    def __init__(self, labels=()):
        super().__init__()
        self.labels = list(labels)
        self.fc = nn.Linear(2, 2)
        self.register_load_state_dict_pre_hook(keep_labels)

    def get_extra_state(self):
        return list(self.labels)

    def set_extra_state(self, state):
        self.labels = list(state)


def keep_labels(module, state_dict, prefix, *others):
    if not prefix:
        state_dict.setdefault("_extra_state", module.labels)


# %% tagger: shares the list
# gets 1 of 3: the state dict should not change with a model
class Tagger(nn.Module):
    def __init__(self, labels=()):
        super().__init__()
        self.labels = list(labels)
        self.fc = nn.Linear(2, 2)
        self.register_load_state_dict_pre_hook(keep_labels)

    def get_extra_state(self):
        return self.labels

    def set_extra_state(self, state):
        self.labels = state


def keep_labels(module, state_dict, prefix, *others):
    state_dict.setdefault(f"{prefix}_extra_state", module.labels)


# %% tagger: empties the labels when an older file is loaded
# gets 0 of 3: an older file: expected the labels to stay, got []
class Tagger(nn.Module):
    def __init__(self, labels=()):
        super().__init__()
        self.labels = list(labels)
        self.fc = nn.Linear(2, 2)
        self.register_load_state_dict_pre_hook(keep_labels)

    def get_extra_state(self):
        return list(self.labels)

    def set_extra_state(self, state):
        self.labels = list(state)


def keep_labels(module, state_dict, prefix, *others):
    state_dict.setdefault(f"{prefix}_extra_state", [])


# %% tagger: loads everything with strict=False
# gets 1 of 3: an older file of a Tagger inside a model
class Tagger(nn.Module):
    def __init__(self, labels=()):
        super().__init__()
        self.labels = list(labels)
        self.fc = nn.Linear(2, 2)

    def load_state_dict(self, state_dict, strict=True, assign=False):
        return super().load_state_dict(state_dict, strict=False, assign=assign)

    def get_extra_state(self):
        return list(self.labels)

    def set_extra_state(self, state):
        self.labels = list(state)


# %% tagger: saves an object that torch.load refuses
# gets 0 of 3: UnpicklingError
class Labels(list):
    pass


class Tagger(nn.Module):
    def __init__(self, labels=()):
        super().__init__()
        self.labels = Labels(labels)
        self.fc = nn.Linear(2, 2)
        self.register_load_state_dict_pre_hook(keep_labels)

    def get_extra_state(self):
        return Labels(self.labels)

    def set_extra_state(self, state):
        self.labels = Labels(state)


def keep_labels(module, state_dict, prefix, *others):
    state_dict.setdefault(f"{prefix}_extra_state", module.labels)


# %% migrate: takes a missing version to be the current one
# gets 0 of 4: version 1 without metadata: it raised RuntimeError
def migrate(module, state_dict, prefix, local_metadata, strict, missing, unexpected, errors):
    version = local_metadata.get("version", 3)
    if version == 1:
        for end in ("weight", "bias"):
            state_dict[f"{prefix}stem.{end}"] = state_dict.pop(f"{prefix}conv.{end}")
            first, second = state_dict.pop(f"{prefix}gates.{end}").chunk(2)
            state_dict[f"{prefix}input_gate.{end}"] = first
            state_dict[f"{prefix}forget_gate.{end}"] = second
    if version < 3:
        state_dict[f"{prefix}scale"] = state_dict[f"{prefix}scale"].exp()


# %% migrate: takes a missing version to be the first
# gets 1 of 4: version 2 without metadata: expected a RuntimeError
def migrate(module, state_dict, prefix, local_metadata, strict, missing, unexpected, errors):
    version = local_metadata.get("version", 1)
    if version == 1:
        for end in ("weight", "bias"):
            state_dict[f"{prefix}stem.{end}"] = state_dict.pop(f"{prefix}conv.{end}")
            first, second = state_dict.pop(f"{prefix}gates.{end}").chunk(2)
            state_dict[f"{prefix}input_gate.{end}"] = first
            state_dict[f"{prefix}forget_gate.{end}"] = second
    if version < 3:
        state_dict[f"{prefix}scale"] = state_dict[f"{prefix}scale"].exp()


# %% migrate: compares a version that may be missing
# gets 0 of 4: version 1 without metadata: it raised TypeError
def migrate(module, state_dict, prefix, local_metadata, strict, missing, unexpected, errors):
    version = local_metadata.get("version")
    if version < 2:
        for end in ("weight", "bias"):
            state_dict[f"{prefix}stem.{end}"] = state_dict.pop(f"{prefix}conv.{end}")
            first, second = state_dict.pop(f"{prefix}gates.{end}").chunk(2)
            state_dict[f"{prefix}input_gate.{end}"] = first
            state_dict[f"{prefix}forget_gate.{end}"] = second
    if version < 3:
        state_dict[f"{prefix}scale"] = state_dict[f"{prefix}scale"].exp()


# %% migrate: works only as the whole model
# gets 1 of 4: versions 1 and 1 inside a model
def migrate(module, state_dict, prefix, local_metadata, strict, missing, unexpected, errors):
    version = 1 if "gates.weight" in state_dict else local_metadata.get("version")
    if version is None:
        errors.append("the version is missing")
        return
    if version == 1:
        for end in ("weight", "bias"):
            state_dict[f"stem.{end}"] = state_dict.pop(f"conv.{end}")
            first, second = state_dict.pop(f"gates.{end}").chunk(2)
            state_dict[f"input_gate.{end}"], state_dict[f"forget_gate.{end}"] = first, second
    if version < 3:
        state_dict["scale"] = state_dict["scale"].exp()


# %% migrate: renames every layer called conv
# gets 1 of 4: inside a model
def migrate(module, state_dict, prefix, local_metadata, strict, missing, unexpected, errors):
    version = local_metadata.get("version")
    if f"{prefix}gates.weight" in state_dict:
        version = 1
    if version is None:
        errors.append("the version is missing")
        return
    if version == 1:
        for name in [name for name in state_dict if "conv." in name]:
            state_dict[name.replace("conv.", "stem.")] = state_dict.pop(name)
        for end in ("weight", "bias"):
            first, second = state_dict.pop(f"{prefix}gates.{end}").chunk(2)
            state_dict[f"{prefix}input_gate.{end}"] = first
            state_dict[f"{prefix}forget_gate.{end}"] = second
    if version < 3:
        state_dict[f"{prefix}scale"] = state_dict[f"{prefix}scale"].exp()


# %% migrate: exchanges the gates
# gets 0 of 4: version 1: expected input_gate.weight to be
def migrate(module, state_dict, prefix, local_metadata, strict, missing, unexpected, errors):
    version = local_metadata.get("version")
    if f"{prefix}gates.weight" in state_dict:
        version = 1
    if version is None:
        errors.append("the version is missing")
        return
    if version == 1:
        for end in ("weight", "bias"):
            state_dict[f"{prefix}stem.{end}"] = state_dict.pop(f"{prefix}conv.{end}")
            second, first = state_dict.pop(f"{prefix}gates.{end}").chunk(2)
            state_dict[f"{prefix}input_gate.{end}"] = first
            state_dict[f"{prefix}forget_gate.{end}"] = second
    if version < 3:
        state_dict[f"{prefix}scale"] = state_dict[f"{prefix}scale"].exp()


# %% migrate: forgets the scale of the first version
# gets 0 of 4: version 1: expected scale to be
def migrate(module, state_dict, prefix, local_metadata, strict, missing, unexpected, errors):
    version = local_metadata.get("version")
    if f"{prefix}gates.weight" in state_dict:
        for end in ("weight", "bias"):
            state_dict[f"{prefix}stem.{end}"] = state_dict.pop(f"{prefix}conv.{end}")
            first, second = state_dict.pop(f"{prefix}gates.{end}").chunk(2)
            state_dict[f"{prefix}input_gate.{end}"] = first
            state_dict[f"{prefix}forget_gate.{end}"] = second
    elif version is None:
        errors.append("the version is missing")
    elif version == 2:
        state_dict[f"{prefix}scale"] = state_dict[f"{prefix}scale"].exp()


# %% migrate: takes version 2 if the version is missing
# gets 1 of 4: version 2 without metadata: expected a RuntimeError
def migrate(module, state_dict, prefix, local_metadata, strict, missing, unexpected, errors):
    version = 1 if f"{prefix}gates.weight" in state_dict else local_metadata.get("version", 2)
    if version == 1:
        for end in ("weight", "bias"):
            state_dict[f"{prefix}stem.{end}"] = state_dict.pop(f"{prefix}conv.{end}")
            first, second = state_dict.pop(f"{prefix}gates.{end}").chunk(2)
            state_dict[f"{prefix}input_gate.{end}"] = first
            state_dict[f"{prefix}forget_gate.{end}"] = second
    if version < 3:
        state_dict[f"{prefix}scale"] = state_dict[f"{prefix}scale"].exp()


# %% split-state: puts the three weights before the three biases
# gets 0 of 4: Adam: expected exp_avg of q.bias to be
def split_state(state_dict):
    sources = [(0, None), (1, None)]
    sources += [(index, part) for index in (2, 3) for part in range(3)]
    sources += [(4, None), (5, None)]
    state = {}
    for new, (index, part) in enumerate(sources):
        for key, value in state_dict["state"].get(index, {}).items():
            is_split = part is not None and isinstance(value, torch.Tensor) and value.dim() > 0
            value = value.chunk(3)[part] if is_split else value
            state.setdefault(new, {})[key] = copy.deepcopy(value)
    group = dict(state_dict["param_groups"][0], params=list(range(len(sources))))
    return {"state": state, "param_groups": [group]}


# %% split-state: splits the count of steps
# gets 0 of 4: Adam: it raised RuntimeError('chunk expects at least a 1-dimensional tensor')
def split_state(state_dict):
    sources = [(0, None), (1, None)]
    sources += [(index, part) for part in range(3) for index in (2, 3)]
    sources += [(4, None), (5, None)]
    state = {}
    for new, (index, part) in enumerate(sources):
        for key, value in state_dict["state"][index].items():
            value = value if part is None else value.chunk(3)[part]
            state.setdefault(new, {})[key] = copy.deepcopy(value)
    group = dict(state_dict["param_groups"][0], params=list(range(len(sources))))
    return {"state": state, "param_groups": [group]}


# %% split-state: expects a state for every parameter
# gets 1 of 4: parameters without state: it raised KeyError
def split_state(state_dict):
    sources = [(0, None), (1, None)]
    sources += [(index, part) for part in range(3) for index in (2, 3)]
    sources += [(4, None), (5, None)]
    state = {}
    for new, (index, part) in enumerate(sources):
        for key, value in state_dict["state"][index].items():
            is_split = part is not None and isinstance(value, torch.Tensor) and value.dim() > 0
            value = value.chunk(3)[part] if is_split else value
            state.setdefault(new, {})[key] = copy.deepcopy(value)
    group = dict(state_dict["param_groups"][0], params=list(range(len(sources))))
    return {"state": state, "param_groups": [group]}


# %% split-state: changes the group of its argument
# gets 1 of 4: SGD with momentum: the argument should not change
def split_state(state_dict):
    sources = [(0, None), (1, None)]
    sources += [(index, part) for part in range(3) for index in (2, 3)]
    sources += [(4, None), (5, None)]
    state = {}
    for new, (index, part) in enumerate(sources):
        for key, value in state_dict["state"].get(index, {}).items():
            is_split = part is not None and isinstance(value, torch.Tensor) and value.dim() > 0
            value = value.chunk(3)[part] if is_split else value
            state.setdefault(new, {})[key] = copy.deepcopy(value)
    state_dict["param_groups"][0]["params"] = list(range(len(sources)))
    return {"state": state, "param_groups": state_dict["param_groups"]}


# %% split-state: gives the three layers one count of steps
# gets 1 of 4: three counts of steps should be separate
def split_state(state_dict):
    sources = [(0, None), (1, None)]
    sources += [(index, part) for part in range(3) for index in (2, 3)]
    sources += [(4, None), (5, None)]
    state = {}
    for new, (index, part) in enumerate(sources):
        for key, value in state_dict["state"].get(index, {}).items():
            is_split = part is not None and isinstance(value, torch.Tensor) and value.dim() > 0
            state.setdefault(new, {})[key] = value.chunk(3)[part].clone() if is_split else value
    group = dict(state_dict["param_groups"][0], params=list(range(len(sources))))
    return {"state": state, "param_groups": [group]}


# %% split-state: knows the state of Adam only
# gets 1 of 4: SGD with momentum: it raised KeyError('step')
def split_state(state_dict):
    sources = [(0, None), (1, None)]
    sources += [(index, part) for part in range(3) for index in (2, 3)]
    sources += [(4, None), (5, None)]
    state = {}
    for new, (index, part) in enumerate(sources):
        if index in state_dict["state"]:
            old = copy.deepcopy(state_dict["state"][index])
            state[new] = {"step": old["step"]}
            for key in ("exp_avg", "exp_avg_sq"):
                state[new][key] = old[key] if part is None else old[key].chunk(3)[part].clone()
    group = dict(state_dict["param_groups"][0], params=list(range(len(sources))))
    return {"state": state, "param_groups": [group]}


# %% split-state: returns the default options
# gets 1 of 4: SGD with momentum: expected the options
def split_state(state_dict):
    sources = [(0, None), (1, None)]
    sources += [(index, part) for part in range(3) for index in (2, 3)]
    sources += [(4, None), (5, None)]
    state = {}
    for new, (index, part) in enumerate(sources):
        for key, value in state_dict["state"].get(index, {}).items():
            is_split = part is not None and isinstance(value, torch.Tensor) and value.dim() > 0
            value = value.chunk(3)[part] if is_split else value
            state.setdefault(new, {})[key] = copy.deepcopy(value)
    group = {"lr": 0.001, "params": list(range(len(sources)))}
    return {"state": state, "param_groups": [group]}

# %% state-for: knows the keys and the prefix of one trainer
# gets 0 of 4: a checkpoint with the state dict under net: expected a dict with the names
def state_for(model, loaded):
    state_dict = loaded.get("state_dict", loaded.get("model_state_dict", loaded))
    return {name.removeprefix("model."): tensor for name, tensor in state_dict.items()}


# %% state-for: takes the first dict, and removes a common prefix
# gets 0 of 4: a state dict with the prefix model. and a tensor called loss: expected a dict
def state_for(model, loaded):
    from os.path import commonprefix

    for value in loaded.values():
        if isinstance(value, dict):
            return state_for(model, value)
    prefix = commonprefix(list(loaded)).rpartition(".")[0]
    return {name.removeprefix(f"{prefix}."): tensor for name, tensor in loaded.items()}


# %% state-for: returns what fits, and raises nothing
# gets 0 of 4: a state dict without the bias: expected a ValueError
def state_for(model, loaded):
    best = {}
    for tensors in dicts(loaded):
        for prefix in {name[: place + 1] for name in tensors for place in dots(name)}:
            fits = {
                name: tensors[prefix + name]
                for name in model.state_dict()
                if prefix + name in tensors
            }
            best = max(best, fits, key=len)
    return best


def dots(name):
    return [-1] + [place for place, character in enumerate(name) if character == "."]


def dicts(loaded):
    yield {str(key): value for key, value in loaded.items()}
    for value in loaded.values():
        if isinstance(value, dict):
            yield from dicts(value)


# %% state-for: looks for the end of a name without its dot
# gets 1 of 4: a prefix without a dot: expected a ValueError
def state_for(model, loaded):
    names, tensors = list(model.state_dict()), dict(flat(loaded))
    fits = Counter(k.removesuffix(n) for k in tensors for n in names if k.endswith(n))
    complete = [prefix for prefix, count in fits.items() if count == len(names)]
    if len(complete) == 1:
        return {name: tensors[complete[0] + name] for name in names}
    best = max(fits, key=fits.get, default="")
    raise ValueError(f"Missing: {[name for name in names if best + name not in tensors]}")


def flat(loaded, path=""):
    for key, value in loaded.items():
        if isinstance(value, dict):
            yield from flat(value, f"{path}{key}.")
        elif isinstance(value, torch.Tensor):
            yield f"{path}{key}", value


# %% state-for: finds each name separately
# gets 1 of 4: names that only end like those of the model: expected body.weight to be
def state_for(model, loaded):
    tensors = dict(flat(loaded))
    found = {}
    for name in model.state_dict():
        for key, tensor in tensors.items():
            if f".{key}".endswith(f".{name}"):
                found.setdefault(name, tensor)
    missing = [name for name in model.state_dict() if name not in found]
    if missing:
        raise ValueError(f"Missing: {missing}")
    return found


def flat(loaded, path=""):
    for key, value in loaded.items():
        if isinstance(value, dict):
            yield from flat(value, f"{path}{key}.")
        elif isinstance(value, torch.Tensor):
            yield f"{path}{key}", value


# %% state-for: looks one level deep
# gets 1 of 4: a state dict inside two dicts: it raised ValueError
def state_for(model, loaded):
    names = list(model.state_dict())
    found = []
    missing = names
    for tensors in [loaded, *(value for value in loaded.values() if isinstance(value, dict))]:
        fits = Counter(
            str(k).removesuffix(n) for k in tensors for n in names if f".{k}".endswith(f".{n}")
        )
        found += [(tensors, prefix) for prefix in fits if fits[prefix] == len(names)]
        for prefix in fits:
            missing = min(missing, [n for n in names if prefix + n not in tensors], key=len)
    if len(found) != 1:
        raise ValueError(f"Missing: {missing}")
    tensors, prefix = found[0]
    return {name: tensors[prefix + name] for name in names}


# %% state-for: lists all names of the model as missing
# gets 1 of 4: and of the names of the model it lists ['body.weight', 'body.bias'
def state_for(model, loaded):
    names, tensors = list(model.state_dict()), dict(flat(loaded))
    fits = Counter(k.removesuffix(n) for k in tensors for n in names if f".{k}".endswith(f".{n}"))
    complete = [prefix for prefix, count in fits.items() if count == len(names)]
    if len(complete) == 1:
        return {name: tensors[complete[0] + name] for name in names}
    raise ValueError(f"Expected {names}, found {list(tensors)}")


def flat(loaded, path=""):
    for key, value in loaded.items():
        if isinstance(value, dict):
            yield from flat(value, f"{path}{key}.")
        elif isinstance(value, torch.Tensor):
            yield f"{path}{key}", value


# %% state-for: takes the first of several sets
# gets 1 of 4: raw and averaged weights in one dict: expected a ValueError
def state_for(model, loaded):
    names, tensors = list(model.state_dict()), dict(flat(loaded))
    fits = Counter(k.removesuffix(n) for k in tensors for n in names if f".{k}".endswith(f".{n}"))
    prefix = max(fits, key=fits.get, default="")
    missing = [name for name in names if prefix + name not in tensors]
    if missing:
        raise ValueError(f"Missing: {missing}")
    return {name: tensors[prefix + name] for name in names}


def flat(loaded, path=""):
    for key, value in loaded.items():
        if isinstance(value, dict):
            yield from flat(value, f"{path}{key}.")
        elif isinstance(value, torch.Tensor):
            yield f"{path}{key}", value


# %% unsaved: looks only at the attributes of the model itself
# gets 0 of 3: expected ['encoder.blocks', 'heads'], got ['heads']
def unsaved(model):
    return sorted(
        name
        for name, value in vars(model).items()
        if isinstance(value, list) and any(isinstance(item, nn.Module) for item in value)
    )


# %% unsaved: lists the dicts in which PyTorch registers modules
# gets 0 of 3: a model whose layers are in a ModuleList: expected [], got ['_modules'
def unsaved(model):
    found = []
    for path, module in model.named_modules():
        for name, value in vars(module).items():
            items = list(value.values()) if isinstance(value, dict) else value
            layers = items if isinstance(items, list | tuple) else []
            if any(isinstance(item, nn.Module | nn.Parameter) for item in layers):
                found.append(f"{path}.{name}".removeprefix("."))
    return sorted(found)


# %% unsaved: names the attributes without their path
# gets 0 of 3: expected ['encoder.blocks', 'heads'], got ['blocks', 'heads']
def unsaved(model):
    found = []
    for module in model.modules():
        for name, value in vars(module).items():
            if isinstance(value, list) and any(isinstance(item, nn.Module) for item in value):
                found.append(name)
    return sorted(found)


# %% unsaved: knows only lists of layers
# gets 1 of 3: a dict of layers: expected ['heads'], got []
def unsaved(model):
    found = []
    for path, module in model.named_modules():
        for name, value in vars(module).items():
            if isinstance(value, list) and any(isinstance(item, nn.Module) for item in value):
                found.append(f"{path}.{name}".removeprefix("."))
    return sorted(found)


# %% unsaved: looks only at the first item
# gets 1 of 3: a layer after a number: expected ['mixed'], got []
def unsaved(model):
    def is_layer(value):
        if isinstance(value, dict):
            value = list(value.values())
        if isinstance(value, list | tuple):
            return bool(value) and is_layer(value[0])
        return isinstance(value, nn.Module | nn.Parameter)

    found = []
    for path, module in model.named_modules():
        for name in vars(module).keys() - vars(nn.Module()).keys():
            if is_layer(vars(module)[name]):
                found.append(f"{path}.{name}".removeprefix("."))
    return sorted(found)


# %% unsaved: forgets parameters
# gets 1 of 3: a list of parameters: expected ['scales'], got []
def unsaved(model):
    saved = set(model.modules())

    def has_unsaved(value):
        if isinstance(value, dict):
            value = list(value.values())
        if isinstance(value, list | tuple):
            return any(map(has_unsaved, value))
        return isinstance(value, nn.Module) and value not in saved

    found = []
    for path, module in model.named_modules():
        for name, value in vars(module).items():
            if has_unsaved(value):
                found.append(f"{path}.{name}".removeprefix("."))
    return sorted(found)


# %% unsaved: does not look inside a list in a list
# gets 1 of 3: a list of lists of layers: expected ['grid'], got []
def unsaved(model):
    saved = {id(part) for part in (*model.modules(), *model.parameters())}
    found = []
    for path, module in model.named_modules():
        for name, value in vars(module).items():
            items = list(value.values()) if isinstance(value, dict) else value
            if isinstance(items, list | tuple):
                layers = [item for item in items if isinstance(item, nn.Module | nn.Parameter)]
                if any(id(layer) not in saved for layer in layers):
                    found.append(f"{path}.{name}".removeprefix("."))
    return sorted(found)


# %% unsaved: does not ask whether the layers are registered elsewhere
# gets 1 of 3: a layer that is also an attribute: expected [], got ['layers']
def unsaved(model):
    def has_layer(value):
        if isinstance(value, dict):
            value = list(value.values())
        if isinstance(value, list | tuple):
            return any(map(has_layer, value))
        return isinstance(value, nn.Module | nn.Parameter)

    found = []
    for path, module in model.named_modules():
        for name in vars(module).keys() - vars(nn.Module()).keys():
            if has_layer(vars(module)[name]):
                found.append(f"{path}.{name}".removeprefix("."))
    return sorted(found)


# %% resume-schedule: loads what is there
# gets 0 of 3: the scheduler's state is missing: expected the learning rates
def resume_schedule(optimizer, scheduler, saved):
    if saved["scheduler"] is not None:
        scheduler.load_state_dict(saved["scheduler"])
    if saved["optimizer"] is not None:
        optimizer.load_state_dict(saved["optimizer"])


# %% resume-schedule: loads the optimizer first
# gets 0 of 3: the scheduler's state is missing: expected the learning rates
def resume_schedule(optimizer, scheduler, saved):
    if saved["optimizer"] is not None:
        optimizer.load_state_dict(saved["optimizer"])
    if saved["scheduler"] is not None:
        scheduler.load_state_dict(saved["scheduler"])
    else:
        for _ in range(saved["epoch"]):
            scheduler.step()


# %% resume-schedule: moves one epoch too far
# gets 0 of 3: the scheduler's state is missing: expected the learning rates
def resume_schedule(optimizer, scheduler, saved):
    for _ in range(saved["epoch"] + 1):
        optimizer.step()
        scheduler.step()
    if saved["scheduler"] is not None:
        scheduler.load_state_dict(saved["scheduler"])
    if saved["optimizer"] is not None:
        optimizer.load_state_dict(saved["optimizer"])


# %% resume-schedule: sets the number of the last epoch
# gets 1 of 3: CosineAnnealingLR, complete epochs: 1, missing: ['optimizer']: expected
def resume_schedule(optimizer, scheduler, saved):
    scheduler.last_epoch = saved["epoch"]
    if saved["scheduler"] is not None:
        scheduler.load_state_dict(saved["scheduler"])
    if saved["optimizer"] is not None:
        optimizer.load_state_dict(saved["optimizer"])


# %% resume-schedule: replays the epochs only if the scheduler's state is missing
# gets 1 of 3: CosineAnnealingLR, complete epochs: 1, missing: ['optimizer']: expected
def resume_schedule(optimizer, scheduler, saved):
    if saved["scheduler"] is not None:
        scheduler.load_state_dict(saved["scheduler"])
    else:
        for _ in range(saved["epoch"]):
            optimizer.step()
            scheduler.step()
    if saved["optimizer"] is not None:
        optimizer.load_state_dict(saved["optimizer"])


# %% resume-schedule: loads the scheduler, then replays the epochs
# gets 0 of 3: nothing is missing: expected the learning rates
def resume_schedule(optimizer, scheduler, saved):
    if saved["scheduler"] is not None:
        scheduler.load_state_dict(saved["scheduler"])
    for _ in range(saved["epoch"]):
        optimizer.step()
        scheduler.step()
    if saved["optimizer"] is not None:
        optimizer.load_state_dict(saved["optimizer"])


# %% resume-schedule: replays the epochs, and loads nothing
# gets 0 of 3: nothing is missing: expected the saved state of Adam, got {}
def resume_schedule(optimizer, scheduler, saved):
    for _ in range(saved["epoch"]):
        optimizer.step()
        scheduler.step()
